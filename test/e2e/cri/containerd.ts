import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import * as loader from '@grpc/proto-loader';
import type { LabNamespace } from '../../../bench/lib/lab.ts';
import type { LabProcess } from '../../../bench/lib/process.ts';
import { packageRoot } from '../../../src/base/package-root.ts';

const PROTO = join(packageRoot, 'test/e2e/cri/runtime.proto');
const CALL_MS = 60_000;
const IMAGE = 'localhost/weft-pause:1';

type Callback = (error: Error | null, answer?: unknown) => void;
type Method = (request: object, options: { deadline: number }, done: Callback) => void;
type Client = grpc.Client & Readonly<Record<string, Method>>;
type ClientClass = new (address: string, credentials: grpc.ChannelCredentials) => Client;

export interface Pod {
  readonly pod_sandbox_id: string;
}

/** What containerd is started with: folders of its own, so that several run on one machine. */
function config(directory: string, plugins: string, configs: string): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
  address = "${directory}/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  enable_tls_streaming = false
  stream_server_port = "0"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${plugins}"
    conf_dir = "${configs}"
`;
}

/** containerd on a node of a lab, asked as a kubelet asks it. */
export class Containerd {
  readonly #node: LabNamespace;
  readonly #directory: string;
  readonly #client: Client;
  readonly #daemon: LabProcess;

  private constructor(node: LabNamespace, directory: string, daemon: LabProcess) {
    this.#node = node;
    this.#directory = directory;
    this.#daemon = daemon;
    const definition = loader.loadSync(PROTO, { keepCase: true });
    const types = grpc.loadPackageDefinition(definition) as unknown as {
      readonly runtime: { readonly v1: { readonly RuntimeService: ClientClass } };
    };
    const { RuntimeService } = types.runtime.v1;
    const address = `unix://${directory}/c.sock`;
    this.#client = new RuntimeService(address, grpc.credentials.createInsecure());
  }

  /** Starts it with the plugins and configs of two folders; `image` is the archive of pods' image. */
  static async start(
    node: LabNamespace,
    directory: string,
    cni: { readonly plugins: string; readonly configs: string },
    image: string,
  ): Promise<Containerd> {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'c.toml'), config(directory, cni.plugins, cni.configs));
    const daemon = node.start('containerd', ['--config', join(directory, 'c.toml')]);
    await daemon.waitForLine(/containerd successfully booted/, CALL_MS);
    const started = new Containerd(node, directory, daemon);
    await started.#ctr('images', 'import', image);
    return started;
  }

  #ctr(...words: readonly string[]): Promise<string> {
    return this.#node.run('ctr', ['-a', `${this.#directory}/c.sock`, '-n', 'k8s.io', ...words]);
  }

  #call<Answer>(name: string, request: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + CALL_MS;
      this.#client[name]?.(request, { deadline }, (error, answer) => {
        if (error === null) resolve(answer as Answer);
        else reject(error);
      });
    });
  }

  runPod(name: string): Promise<Pod> {
    const metadata = { name, uid: name, namespace: 'default' };
    const log = join(this.#directory, 'logs');
    return this.#call('RunPodSandbox', {
      config: { metadata, hostname: name, log_directory: log, linux: {} },
    });
  }

  async addressOf(pod: Pod): Promise<string> {
    const { status } = await this.#call<{ status: { network: { ip: string } } }>(
      'PodSandboxStatus',
      pod,
    );
    return status.network.ip;
  }

  /** As kubelet removes one: stopped, stopped again, removed. CNI sees DEL each time. */
  async removePod(pod: Pod): Promise<void> {
    await this.#call('StopPodSandbox', pod);
    await this.#call('StopPodSandbox', pod);
    await this.#call('RemovePodSandbox', pod);
  }

  /** Process id of the pod's first container, by which its namespaces are entered. */
  async pidOf({ pod_sandbox_id: id }: Pod): Promise<number> {
    const tasks = await this.#ctr('tasks', 'ls');
    return Number(new RegExp(`^${id}\\s+(\\d+)`, 'm').exec(tasks)?.[1]);
  }

  async stop(): Promise<void> {
    this.#client.close();
    await this.#daemon.stop();
  }
}
