import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { run, tryRun } from '../../bench/lib/process.ts';
import type { EndpointInfo, NetworkDetail } from '../../src/api/control.ts';
import { CniRuntime, REFERENCE_PLUGINS } from './cni-runtime.ts';
import { Containerd } from './cri/containerd.ts';
import { makeImage } from './cri/image.ts';
import { eventually, startMesh, type WeftHost } from './mesh.ts';
import { ask } from './ask.ts';

const IMAGE = 'localhost/weft-box:1';
/** Says its name to whoever connects, again and again. */
const SERVER = ['sh', '-c', 'while :; do echo web | busybox nc -l -p 80; done'];

/** Two nodes with the program and a config in the folders that runtimes read. */
async function nodes(t: ExecutionContext, area: string, version: string, more: object = {}) {
  const mesh = await startMesh(t, area, ['a', 'b']);
  const made = await Promise.all(
    mesh.hosts.map(async (host) => {
      const cni = await CniRuntime.on(host.namespace, host.stateDirectory);
      const plugin = { type: 'weft', socket: host.socket, subnet: '10.7.0.0/24', ...more };
      cni.configure('pods', version, {
        ...plugin,
        capabilities: { ips: true, mac: true, aliases: true, portMappings: true },
      });
      copyFileSync(join(REFERENCE_PLUGINS, 'loopback'), join(cni.plugins, 'loopback'));
      return { host, cni };
    }),
  );
  return { mesh, nodes: made };
}

async function attached(host: WeftHost): Promise<readonly EndpointInfo[]> {
  return (await host.json<NetworkDetail>('network', 'inspect', 'pods')).attached;
}

const pingFrom = async (pid: number, address: string): Promise<number> =>
  (await tryRun('nsenter', [`--net=/proc/${pid}/ns/net`, 'ping', '-c1', '-w20', address])).status;

test("containerd's CRI runs a pod on each of two nodes, and each reaches the other", async (t) => {
  const { mesh, nodes: both } = await nodes(t, 'cri', '1.0.0');
  const [first] = mesh.hosts;
  if (!first) throw new Error('two hosts were asked for');
  mkdirSync(first.stateDirectory, { recursive: true });
  const image = await makeImage(first.directory, 'localhost/weft-pause:1');
  const engines: Containerd[] = [];
  const pods = await Promise.all(
    both.map(async ({ host, cni }) => {
      const directory = join(host.directory, `ctrd-${host.name}`);
      const containerd = await Containerd.start(host.namespace, directory, cni, image);
      engines.push(containerd);
      const pod = await containerd.runPod(`web-${host.name}`);
      return { containerd, pod, address: await containerd.addressOf(pod) };
    }),
  );
  const [one, two] = pods;
  if (!one || !two) throw new Error('two pods were asked for');
  t.regex(one.address, /^10\.7\.0\.\d+$/);
  t.not(one.address, two.address);
  t.is(await pingFrom(await one.containerd.pidOf(one.pod), two.address), 0);
  const names = (await attached(first)).map(({ names: each }) => each?.[0]).sort();
  t.deepEqual(names, ['web-a', 'web-b']);
  for (const { containerd, pod } of pods) await containerd.removePod(pod);
  t.deepEqual(await attached(first), []);
  for (const containerd of engines) await containerd.stop();
});

/**
 * Folders and settings of a podman on a node, so that it touches nothing of the machine's. When the test
 * ends its containers go, and then the processes by which conmon cleans up after each of them: they
 * outlive `podman rm`, write in those folders, and may leave the one of its images mounted.
 */
function podmanOn(
  t: ExecutionContext,
  { host, cni }: Awaited<ReturnType<typeof nodes>>['nodes'][number],
) {
  const directory = join(host.directory, `podman-${host.name}`);
  mkdirSync(directory, { recursive: true });
  const quoted = (text: string): string => JSON.stringify(text);
  writeFileSync(
    join(directory, 'containers.conf'),
    `[network]
network_backend = "cni"
cni_plugin_dirs = [${quoted(cni.plugins)}, ${quoted(REFERENCE_PLUGINS)}]
network_config_dir = ${quoted(cni.configs)}
default_network = "pods"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = ${quoted(join(directory, 'tmp'))}
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
`,
  );
  writeFileSync(
    join(directory, 'storage.conf'),
    `[storage]
driver = "overlay"
graphroot = ${quoted(join(directory, 'root'))}
runroot = ${quoted(join(directory, 'run'))}
`,
  );
  const podman = (...words: readonly string[]): Promise<string> =>
    host.namespace.run('env', [
      `CONTAINERS_CONF=${join(directory, 'containers.conf')}`,
      `CONTAINERS_STORAGE_CONF=${join(directory, 'storage.conf')}`,
      ...['podman', ...words],
    ]);
  t.teardown(async () => {
    await podman('rm', '-a', '-f', '-t', '0');
    await eventually(async () => (await tryRun('pgrep', ['-f', directory])).status === 1, 20_000);
    const mounted = (await run('findmnt', ['-rno', 'TARGET'])).split('\n');
    for (const path of mounted.filter((each) => each.startsWith(`${directory}/`)).reverse()) {
      await run('umount', [path]);
    }
  });
  return podman;
}

test('podman runs a container on each of two nodes, with an alias and an address of its own', async (t) => {
  const { mesh, nodes: both } = await nodes(t, 'podman', '0.4.0', { edge: 'routed' });
  const [first] = mesh.hosts;
  const [one, two] = both.map((node) => podmanOn(t, node));
  if (!first || !one || !two) throw new Error('two hosts were asked for');
  const image = await makeImage(first.directory, IMAGE);
  for (const podman of [one, two]) await podman('load', '-q', '-i', image);
  const runArguments = ['run', '-d', '--network', 'pods'];
  const published = ['-p', '8080:80', '-p', '192.0.2.1:53:80/udp'];
  await one(...runArguments, ...published, '--name', 'web', '--ip', '10.7.0.77', IMAGE, ...SERVER);
  await two(...runArguments, '--name', 'db', '--network-alias', 'sql', IMAGE);
  const endpoints = await attached(first);
  t.deepEqual(endpoints.find(({ address }) => address === '10.7.0.77/24')?.names?.[0], 'web');
  t.true(endpoints.some(({ names }) => names?.includes('sql')));
  const said = await two('exec', 'db', '/bin/busybox', 'ping', '-c1', '-w20', '10.7.0.77');
  t.regex(said, /1 packets received/);
  // podman's -p: from the other node, from the node itself, and from the container beside.
  const ports = endpoints.find(({ names }) => names?.[0] === 'web')?.ports ?? [];
  // podman gives them in no order.
  t.deepEqual(
    ports.toSorted((one, other) => one.hostPort - other.hostPort),
    [
      { protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, port: 80 },
      { protocol: 'tcp', hostPort: 8080, port: 80 },
    ],
  );
  for (const { namespace } of mesh.hosts) {
    await eventually(
      async () => (await ask(namespace, 'tcp', '192.0.2.1', 8080)) === 'web',
      20_000,
    );
  }
  const inside = await two('exec', 'db', '/bin/busybox', 'nc', '-w', '10', '192.0.2.1', '8080');
  t.is(inside.trim(), 'web');
  // By name, as the nodes answer it: podman writes what ADD has said of DNS into resolv.conf.
  const lookUp = (name: string): Promise<string> =>
    two('exec', 'db', '/bin/busybox', 'nslookup', name).catch(String);
  await eventually(async () => /10\.7\.0\.77/.test(await lookUp('web.weft.local')), 20_000);
  const pinged = await two('exec', 'db', '/bin/busybox', 'ping', '-c1', '-w20', 'web');
  t.regex(pinged, /PING web \(10\.7\.0\.77\)[^]*1 packets received/);
  const sql = await one(
    'exec',
    'web',
    '/bin/busybox',
    'ping',
    '-c1',
    '-w20',
    'sql.pods.weft.local',
  );
  t.regex(sql, /1 packets received/);
  await one('rm', '-f', '-t', '0', 'web');
  await eventually(async () => /NXDOMAIN/.test(await lookUp('web.weft.local')), 20_000);
  await two('rm', '-f', '-t', '0', 'db');
  t.deepEqual(await attached(first), []);
  t.is(await ask(first.namespace, 'tcp', '192.0.2.1', 8080), '');
});
