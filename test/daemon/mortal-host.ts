import type { FaceAnswer } from '../../src/api/face.ts';
import type { Control, EndpointInfo } from '../../src/api/control.ts';
import { nullLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { formatSocketAddress, type PeerId, type SocketAddress } from '../../src/base/types.ts';
import { startDaemon, type Seams } from '../../src/daemon/daemon.ts';
import { DEFAULT_OPTIONS, type DaemonOptions } from '../../src/daemon/options.ts';
import type { RunningDaemon } from '../../src/daemon/service.ts';
import { State } from '../../src/daemon/state.ts';
import { openPortableDataPlane } from '../../src/dataplane/portable/plane.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { SEED_BYTES, SigningKey } from '../../src/link/signing-key.ts';
import { parseMark } from '../../src/network/names.ts';
import type { BindUdp, UdpSocket } from '../../src/underlay/udp.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';
import { FakeNft } from '../fakes/fake-nft.ts';
import { FakePolicyRouting } from '../fakes/fake-policy-routing.ts';
import { FakeTc } from '../fakes/fake-tc.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { MemoryNetwork } from '../fakes/memory-network.ts';
import { MemoryTap } from '../fakes/memory-tap.ts';
import {
  Life,
  mortalKernel,
  mortalNft,
  mortalPolicyRouting,
  MortalStore,
  type Death,
} from './mortal.ts';

const MESH_PORT = 7783;

/** Hosts on one underlay in memory. */
export class World {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;

  constructor(seed: number) {
    this.network = new MemoryNetwork(this.clock, { seed });
  }

  /** Lets time pass until `done` settles. */
  async until<T>(done: Promise<T>): Promise<T> {
    const waiting = { isOver: false };
    const end = (): void => void (waiting.isOver = true);
    void done.then(end, end);
    for (let turns = 0; !waiting.isOver; turns++) {
      if (turns > 20_000) throw new Error('nothing happens any more');
      this.clock.advance(2);
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    return done;
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      this.clock.advance(5);
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }
}

/** No bridge has an address, so that nobody asks for names. */
const silentDns: Seams['dns'] = {
  openSockets: () => ({
    listen: () => Promise.reject(new Error('nothing is to be listened on')),
    ask: () => Promise.reject(new Error('nobody is to be asked')),
  }),
  interfaceAddresses: () => Promise.resolve([]),
  resolvConf: () => '',
};

/** A TAP device that is a link of the kernel as long as its owner lives. */
class KernelTap extends MemoryTap {
  readonly #kernel: FakeKernel;

  constructor(name: string, mtu: number, kernel: FakeKernel) {
    super(name);
    this.#kernel = kernel;
    kernel.addLink(name, { kind: 'tun', mtu, isUp: true });
  }

  override close(): void {
    if (this.#kernel.find(this.name) !== undefined) this.#kernel.removeLink(this.name);
    super.close();
  }
}

/** All hosts are of one mesh from their first start. */
const MESH_KEY = Buffer.alloc(32, 1);

/** A host whose kernel and disk outlive its daemon. */
export class MortalHost {
  readonly name: string;
  readonly address: string;
  readonly kernel = new FakeKernel();
  readonly nft = new FakeNft();
  readonly policyRouting = new FakePolicyRouting((name) => this.kernel.find(name) !== undefined);
  readonly disk = new Map<string, Buffer>();
  readonly sandboxes: string[] = [];
  readonly #world: World;
  /** As the seed on the disk has it, once it is looked at. */
  #identity: { readonly seed: Buffer; readonly id: PeerId } | undefined;
  #life: Life;
  #control: Control | undefined;
  #docker: RunningDaemon['docker'] | undefined;
  #faces: RunningDaemon['faces'] = [];
  /** Never the same on two hosts, or they would give two endpoints one id. */
  #nextSeed: number;

  readonly #settings: Partial<DaemonOptions>;

  constructor(name: string, address: string, world: World, settings: Partial<DaemonOptions> = {}) {
    this.#settings = settings;
    this.name = name;
    this.address = address;
    this.#world = world;
    this.#nextSeed = 1000 * Number(address.split('.').at(-1));
    this.#life = new Life(world.clock);
    const addresses = [{ address, prefixLength: 24, scope: 'global' }];
    this.kernel.addLink('u0', { isUp: true, addresses });
  }

  get control(): Control {
    if (this.#control === undefined) throw new Error(`${this.name} does not run`);
    return this.#control;
  }

  get docker(): RunningDaemon['docker'] {
    if (this.#docker === undefined) throw new Error(`${this.name} does not run`);
    return this.#docker;
  }

  get life(): Life {
    return this.#life;
  }

  get id(): PeerId {
    const seed = this.disk.get('meta\0seed') ?? Buffer.alloc(SEED_BYTES);
    if (this.#identity?.seed !== seed) {
      const key = SigningKey.from(seed)?.pair.publicKey ?? Buffer.alloc(0);
      this.#identity = { seed, id: hostIdOf(key) };
    }
    return this.#identity.id;
  }

  addSandbox(path: string): void {
    this.kernel.addNamespace(path);
    this.sandboxes.push(path);
  }

  /** Starts a daemon that will die as told; "dead" if it does before it is ready. */
  async start(death?: Death): Promise<'ready' | 'dead'> {
    const { clock } = this.#world;
    const life = new Life(clock, death);
    this.#life = life;
    this.#control = undefined;
    this.#docker = undefined;
    this.#faces = [];
    const started = startDaemon(
      {
        ...DEFAULT_OPTIONS,
        ...{ name: this.name, stateDir: '/none', socket: '/none', dataPlane: 'portable' },
        ...{ listen: { addresses: [this.address], port: MESH_PORT } },
        advertise: { address: this.address },
        ...this.#settings,
      },
      {
        ...{ clock: life.clock, rng: seededRng(this.#nextSeed++) },
        ...{ log: nullLogger, seams: this.#seams(life) },
      },
    ).then(
      ({ control, docker, faces }) => {
        this.#control = control;
        this.#docker = docker;
        this.#faces = faces;
        return 'ready' as const;
      },
      (error: unknown) => {
        if (life.isOver) return 'dead' as const;
        throw error;
      },
    );
    return this.#world.until(Promise.race([started, life.over]));
  }

  /** What a command answers, `refused` if it is, or "dead" if the daemon dies over it. */
  run<T>(command: (control: Control) => Promise<T>): Promise<T | 'dead' | 'refused'> {
    const answer = command(this.control).catch((error: unknown) => {
      if ((error as { code?: string }).code === undefined) throw error;
      return 'refused' as const;
    });
    return this.#world.until(Promise.race([answer, this.#life.over]));
  }

  /** What a call of Docker answers, or "dead" if the daemon dies over it. */
  call(name: string, body: unknown): Promise<Readonly<Record<string, unknown>> | 'dead'> {
    const answer = this.docker
      .call(name, body)
      .then((said) => said.body as Readonly<Record<string, unknown>>);
    return this.#world.until(Promise.race([answer, this.#life.over]));
  }

  /** What a form of the socket that is not ours answers, or "dead" if the daemon dies over it. */
  face(path: string, body: unknown): Promise<FaceAnswer | 'dead'> {
    const face = this.#faces.find((each) => each.path === path);
    if (face === undefined) throw new Error(`${this.name} has no ${path}`);
    return this.#world.until(Promise.race([face.answer(body), this.#life.over]));
  }

  kill(): void {
    this.#life.kill();
  }

  /** This host's endpoints by its own tables. */
  async endpoints(): Promise<EndpointInfo[]> {
    const networks = await this.control.listNetworks();
    const details = await Promise.all(
      networks.map(({ name }) => this.control.inspectNetwork(name)),
    );
    return details.flatMap(({ attached }) => attached);
  }

  /** Names of the links that carry this host's mark, and of its TAP devices. */
  links(): Promise<string[]> {
    return this.kernel.links().then((links) =>
      links
        .filter(({ alias, kind }) => kind === 'tun' || parseMark(alias)?.host === this.id)
        .map(({ name }) => name)
        .sort(),
    );
  }

  #seams(life: Life): Seams {
    const kernel = mortalKernel(this.kernel, life);
    const { network } = this.#world;
    const { clock } = life;
    const opened: SocketAddress[] = [];
    const streams = new Map<string, ReturnType<MemoryNetwork['open']>['stream']>();
    let freePort = 40_000;
    const bindUdp: BindUdp = (addresses, wanted) => {
      const local = { address: addresses[0] ?? '', port: wanted === 0 ? freePort++ : wanted };
      const { channel, stream } = network.open(local);
      opened.push(local);
      streams.set(formatSocketAddress(local), stream);
      const socket: UdpSocket = {
        ...{ local, receiveBufferBytes: 0, queuedBytes: () => 0 },
        send(buffer, start, end, address, port, sent) {
          if (!life.isOver) channel.send(buffer.subarray(start, end), { address, port });
          process.nextTick(() => sent(null));
        },
        onReceive: (receive) =>
          channel.onReceive((bytes, from) => receive(bytes, from.address, from.port)),
        close() {
          network.remove(local);
          return Promise.resolve();
        },
      };
      return Promise.resolve([socket]);
    };
    life.atDeath(() => {
      for (const local of opened) network.remove(local);
    });
    return {
      ...{
        ip: kernel,
        netns: kernel,
        sysctl: kernel,
        nft: mortalNft(this.nft, life),
        policyRouting: mortalPolicyRouting(this.policyRouting, life),
        tc: new FakeTc((device) => this.kernel.find(device)?.index),
      },
      fastCiphers: () => [],
      probePort: ({ port }) => Promise.resolve(port === 0 ? 32_768 : port),
      dns: silentDns,
      openState: () => new State(new MortalStore(this.disk, life), MESH_KEY),
      dataPlanes: {
        portable: {
          open: (wanted) => openPortableDataPlane(wanted, { clock, rng: seededRng(1), bindUdp }),
        },
      },
      openStreams: ({ addresses: [address = ''], port }) => {
        const stream = streams.get(formatSocketAddress({ address, port }));
        if (stream === undefined) throw new Error('no socket is bound there');
        return Promise.resolve(stream);
      },
      openTap: (_kind, name, mtu) =>
        life.doNow(() => {
          const tap = new KernelTap(name, mtu, this.kernel);
          life.atDeath(() => tap.close());
          return tap;
        }),
    };
  }
}
