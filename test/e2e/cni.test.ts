import test, { type ExecutionContext } from 'ava';
import type { EndpointInfo, NetworkDetail, NetworkInfo } from '../../src/api/control.ts';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { CniRuntime } from './cni-runtime.ts';
import { eventually, startMesh, type WeftHost } from './mesh.ts';
import { ask, serve } from './ask.ts';

/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';

interface Result {
  readonly cniVersion: string;
  readonly interfaces: readonly {
    readonly name: string;
    readonly mac: string;
    readonly mtu: number;
  }[];
  readonly ips: readonly {
    readonly address: string;
    readonly version?: string;
    readonly interface: number;
  }[];
}

interface Refusal {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
}

/** Two nodes with a runtime each, whose configs name the node's own daemon. */
async function nodes(t: ExecutionContext) {
  const mesh = await startMesh(t, 'cni', ['a', 'b']);
  const runtimes = await Promise.all(
    mesh.hosts.map((host) => CniRuntime.on(host.namespace, host.stateDirectory)),
  );
  const [a, b] = mesh.hosts;
  const [onA, onB] = runtimes;
  if (!a || !b || !onA || !onB) throw new Error('two hosts were asked for');
  return { mesh, a, b, onA, onB };
}

async function attached(host: WeftHost, network: string): Promise<readonly EndpointInfo[]> {
  return (await host.json<NetworkDetail>('network', 'inspect', network)).attached;
}

const address = (result: Result): string => result.ips[0]?.address.split('/')[0] ?? '';

async function add(t: ExecutionContext, runtime: CniRuntime, network: string, pod: LabNamespace) {
  const answer = await runtime.call('add', network, pod.path, { containerId: pod.name });
  t.is(answer.status, 0, answer.stderr);
  return JSON.parse(answer.stdout) as Result;
}

test('libcni adds, checks and deletes on two nodes that make one network', async (t) => {
  const { mesh, a, b, onA, onB } = await nodes(t);
  for (const [runtime, host] of [
    [onA, a],
    [onB, b],
  ] as const) {
    for (const version of ['0.3.1', '0.4.0', '1.0.0']) {
      const plugin = { type: 'weft', socket: host.socket, network: 'pods', subnet: '10.7.0.0/24' };
      runtime.configure(`pods-${version}`, version, plugin);
    }
  }
  const [one, two, three] = [
    await mesh.container('one'),
    await mesh.container('two'),
    await mesh.container('three'),
  ];
  // At once: both find no network, and both make it.
  const [first, second] = await Promise.all([
    add(t, onA, 'pods-1.0.0', one),
    add(t, onB, 'pods-1.0.0', two),
  ]);
  t.like(first, { cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }], ips: [{ interface: 0 }] });
  t.not(address(first), address(second));
  const ids = await Promise.all([a, b].map((host) => host.json<NetworkInfo[]>('network', 'ls')));
  t.deepEqual(
    ids[0]?.map(({ id }) => id),
    ids[1]?.map(({ id }) => id),
  );
  t.true(await one.answers(address(second)));
  t.is((await onA.call('check', 'pods-1.0.0', one.path, { containerId: one.name })).status, 0);

  const old = await add(t, onA, 'pods-0.3.1', three);
  t.is(old.ips[0]?.version, '4');
  t.true(await three.answers(address(second)));

  // Twice is refused, and the first stays as it is.
  const again = await onA.call('add', 'pods-1.0.0', one.path, { containerId: one.name });
  t.is(again.status, 1);
  t.regex(again.stderr, /exists already: eth0 in/);
  t.true(await one.answers(address(second)));

  // What somebody broke is found.
  await one.ip('link set eth0 mtu 1300');
  const broken = await onA.call('check', 'pods-1.0.0', one.path, { containerId: one.name });
  t.is(broken.status, 1);
  t.regex(broken.stderr, /MTU 1300 instead of \d+/);

  for (const [runtime, network, pod] of [
    [onA, 'pods-1.0.0', one],
    [onA, 'pods-0.3.1', three],
    [onB, 'pods-1.0.0', two],
  ] as const) {
    for (const time of ['once', 'twice']) {
      const { status, stderr } = await runtime.call('del', network, pod.path, {
        containerId: pod.name,
      });
      t.is(status, 0, `${time}: ${stderr}`);
    }
  }
  t.deepEqual(await attached(a, 'pods'), []);
  t.false((await one.ip('-o link show')).includes('eth0'));
});

test('a pod of a routed network has a way out, one of an internal network has none', async (t) => {
  const { mesh, a, onA } = await nodes(t);
  const config = (name: string, more: object) => ({
    ...{ type: 'weft', socket: a.socket, network: name },
    ...more,
  });
  const [web, cave, odd] = [
    await mesh.container('web'),
    await mesh.container('cave'),
    await mesh.container('odd'),
  ];
  onA.configure('open', '1.0.0', config('open', { subnet: '10.7.0.0/24', edge: 'routed' }));
  onA.configure('dark', '1.0.0', config('dark', { subnet: '10.8.0.0/24', edge: 'internal' }));
  const routes = [{ dst: '10.96.0.0/12' }, { dst: '10.112.0.0/12', gw: '10.7.0.9' }];
  onA.configure('some', '1.0.0', config('open', { ipam: { routes } }));
  t.like(await add(t, onA, 'open', web), {
    ips: [{ gateway: '10.7.0.1' }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.7.0.1' }],
  });
  t.regex(await web.ip('route show'), /^default via 10\.7\.0\.1 dev eth0/m);
  // Of the other host, which knows nothing of the pods: by masquerade.
  await eventually(() => web.answers('192.0.2.2'), 20_000);

  const inside = await add(t, onA, 'dark', cave);
  t.like(inside, { ips: [{ gateway: '10.8.0.1' }] });
  t.false('routes' in inside);
  t.notRegex(await cave.ip('route show'), /default/);

  await add(t, onA, 'some', odd);
  const shown = await odd.ip('route show');
  t.regex(shown, /^10\.96\.0\.0\/12 via 10\.7\.0\.1 dev eth0/m);
  t.regex(shown, /^10\.112\.0\.0\/12 via 10\.7\.0\.9 dev eth0/m);
  t.notRegex(shown, /default/);

  // CHECK finds a route that somebody took away, and the daemon gives it back.
  const check = () => onA.call('check', 'some', odd.path, { containerId: odd.name });
  t.is((await check()).status, 0);
  await odd.ip('route del 10.96.0.0/12');
  t.regex((await check()).stderr, /no route to 10\.96\.0\.0\/12 by 10\.7\.0\.1/);
  await eventually(async () => (await check()).status === 0, 30_000);

  const wrong = await onA.program(
    {
      ...{ CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c9', CNI_NETNS: cave.path, CNI_IFNAME: 'eth9' },
      CNI_PATH: onA.plugins,
    },
    {
      ...{ cniVersion: '1.0.0', name: 'x', network: 'dark', type: 'weft', socket: a.socket },
      ipam: { routes: [{ dst: '0.0.0.0/0' }] },
    },
  );
  t.like(JSON.parse(wrong.stdout), { code: 7, details: 'E_ROUTE_INVALID' });
  t.false((await cave.ip('-o link show')).includes('eth9'));
});

test('ports of a node lead to its pods, until DEL or GC', async (t) => {
  const { mesh, a, b, onA } = await nodes(t);
  const plugin = { type: 'weft', socket: a.socket, subnet: '10.7.0.0/24', edge: 'routed' };
  onA.configure('pods', '1.0.0', { ...plugin, capabilities: { portMappings: true } });
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.namespace.tryRun('sysctl', ['-q', '-w', 'net.bridge.bridge-nf-call-iptables=0']);
  await serve(web, 'web', 80);
  await serve(db, 'db', 80);
  const capabilities = {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 53, containerPort: 80, protocol: 'udp', hostIP: '192.0.2.1' },
    ],
  };
  const options = { containerId: 'web', capabilities };
  t.is((await onA.call('add', 'pods', web.path, options)).status, 0);
  const leadsIn = async (): Promise<void> => {
    for (const [from, protocol, port] of [
      [b.namespace, 'tcp', 8080],
      [b.namespace, 'udp', 53],
      [a.namespace, 'tcp', 8080],
      // Of its own, which other plugins call hairpin mode: where bridged frames are not judged (ADR 27).
      [web, 'tcp', 8080],
    ] as const) {
      await eventually(
        async () => (await ask(from, protocol, '192.0.2.1', port)) === 'web',
        20_000,
      );
    }
  };
  await leadsIn();

  // What another pod has is refused, and nothing is half done.
  const second = await onA.call('add', 'pods', db.path, { containerId: 'db', capabilities });
  t.is(second.status, 1);
  t.regex(second.stderr, /Port 8080\/tcp is published for endpoint/);
  t.false((await db.ip('-o link show')).includes('eth0'));

  const check = () => onA.call('check', 'pods', web.path, options);
  t.is((await check()).status, 0);
  await a.namespace.run(NFT, ['flush', 'ruleset']);
  t.regex((await check()).stderr, /table inet weft of nftables is gone/);
  await a.kill();
  await a.up();
  t.is((await check()).status, 0);
  await leadsIn();

  t.is((await onA.call('del', 'pods', web.path, options)).status, 0);
  t.is(await ask(b.namespace, 'tcp', '192.0.2.1', 8080), '');
  t.is((await onA.call('add', 'pods', db.path, { containerId: 'db', capabilities })).status, 0);
  await eventually(async () => (await ask(b.namespace, 'tcp', '192.0.2.1', 8080)) === 'db', 20_000);
  const stale = { cniVersion: '1.1.0', name: 'pods', ...plugin, 'cni.dev/valid-attachments': [] };
  const env = { CNI_COMMAND: 'GC', CNI_PATH: onA.plugins };
  t.is((await onA.program(env, stale)).status, 0);
  t.is(await ask(b.namespace, 'tcp', '192.0.2.1', 8080), '');
  await eventually(
    async () => (await a.namespace.run(NFT, ['list', 'tables'])).trim() === '',
    20_000,
  );
});

test('the program answers for itself, and the daemon for the rest', async (t) => {
  const { mesh, a, onA } = await nodes(t);
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  const pod = await mesh.container('pod');
  const config = { cniVersion: '1.1.0', name: 'blue', type: 'weft', socket: a.socket };
  const env = (command: string, more: object = {}) => ({
    ...{ CNI_COMMAND: command, CNI_CONTAINERID: 'c1', CNI_NETNS: pod.path, CNI_IFNAME: 'eth0' },
    ...{ CNI_PATH: onA.plugins },
    ...more,
  });
  const refusal = async (command: string, of: object | string, more: object = {}) => {
    const { status, stdout } = await onA.program(env(command, more), of);
    t.is(status, 1, stdout);
    return JSON.parse(stdout) as Refusal;
  };
  const done = async (command: string, of: object = config, more: object = {}) => {
    const { status, stdout } = await onA.program(env(command, more), of);
    t.is(status, 0, stdout);
    return stdout === '' ? undefined : (JSON.parse(stdout) as object);
  };

  t.like(await done('VERSION'), { cniVersion: '1.1.0' });
  t.is(await done('STATUS'), undefined);
  const result = await done('ADD', config, { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web-0' });
  t.like(result, { interfaces: [{ sandbox: pod.path }] });
  const [endpoint] = await attached(a, 'blue');
  t.like(endpoint, { origin: 'cni blue c1', names: ['web-0'] });
  const checked = { ...config, prevResult: result };
  t.is(await done('CHECK', checked), undefined);

  // A daemon that was killed and is back knows what it is asked about.
  await a.kill();
  t.like(await refusal('DEL', config), { code: 11 });
  t.like(await refusal('STATUS', config), { code: 50 });
  await a.up();
  t.is(await done('CHECK', checked), undefined);
  t.like(await refusal('ADD', config), { code: 101 });

  const kept = { ...config, 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] };
  t.is(await done('GC', kept), undefined);
  t.is((await attached(a, 'blue')).length, 1);
  t.is(await done('GC', { ...config, 'cni.dev/valid-attachments': [] }), undefined);
  t.deepEqual(await attached(a, 'blue'), []);

  // The sandbox is gone before DEL comes, and CNI_NETNS with it.
  await done('ADD');
  await mesh.lab.removeNamespace(pod);
  t.is(await done('DEL', config, { CNI_NETNS: '' }), undefined);
  await eventually(async () => (await attached(a, 'blue')).length === 0, 20_000);

  t.like(await refusal('ADD', config), { code: 3 });
  t.like(await refusal('ADD', '{', { CNI_ARGS: `WEFT_SOCKET=${a.socket}` }), { code: 6 });
  t.like(await refusal('ADD', { ...config, cniVersion: '9.9.9' }), {
    code: 1,
    cniVersion: '1.1.0',
  });
  t.like(await refusal('ADD', { ...config, socket: '/nowhere' }), { code: 11 });
  t.like(await refusal('ADD', config, { CNI_ARGS: 'WEFT_SOCKET=/nowhere' }), { code: 11 });
  t.like(await refusal('ADD', config, { CNI_IFNAME: 'a/b' }), { code: 4 });
  t.like(await refusal('JUMP', config), { code: 4 });
  t.like(await refusal('', config), { code: 4 });
});
