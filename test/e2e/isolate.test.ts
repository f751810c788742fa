import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo, NetworkInfo } from '../../src/api/control.ts';
import { ask, serve } from './ask.ts';
import { eventually, PLAIN, startMesh, type WeftHost } from './mesh.ts';

const LONG_MS = 20_000;
/** Plain VXLAN, which the fast path would carry past the bridges. */
const NETWORK = ['--subnet', '10.7.0.0/24', '--subnet6', 'fd00:7::/64', '--routed', ...PLAIN];

/** The port of the bridge that is an endpoint's, by its name. */
const portOf = ({ endpoint }: EndpointInfo): string => `wv${endpoint.slice(0, 12)}`;

async function isIsolated({ namespace }: WeftHost, port: string): Promise<boolean> {
  const [link] = (await namespace.ipJson(`link show dev ${port}`)) as {
    linkinfo?: { info_slave_data?: { isolated?: boolean } };
  }[];
  return link?.linkinfo?.info_slave_data?.isolated === true;
}

test('endpoints of an isolated network reach the gateway, published ports, and not each other', async (t) => {
  const mesh = await startMesh(t, 'isolate', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  // With br_netfilter a bridge would itself send on what was translated, and ports stay apart (ADR 55).
  const bridgeFilter = ['-qw', 'net.bridge.bridge-nf-call-iptables=0'];
  await a.namespace.run('sysctl', bridgeFilter);
  const info = await a.json<NetworkInfo>('network', 'create', 'apart', ...NETWORK, '--isolate');
  t.true(info.isolated);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'apart')).status === 0,
    LONG_MS,
  );
  const names = ['one', 'two', 'three'];
  const [one, two, three] = (await Promise.all(names.map((name) => mesh.container(name)))) as [
    LabNamespace,
    LabNamespace,
    LabNamespace,
  ];
  const own = await a.attach('apart', one, '10.7.0.11', '--ip6', 'fd00:7::11');
  await a.attach('apart', two, '10.7.0.12', '--ip6', 'fd00:7::12', '--publish', '8080:80');
  await b.attach('apart', three, '10.7.0.13', '--ip6', 'fd00:7::13', '--publish', '8080:80');
  await serve(two, 'two', 80);
  await serve(three, 'three', 80);

  const apart = async (): Promise<void> => {
    for (const gateway of ['10.7.0.1', 'fd00:7::1']) {
      for (const from of [one, two, three]) {
        await eventually(() => from.answers(gateway), LONG_MS);
      }
    }
    for (const [from, to] of [
      [one, '10.7.0.12'],
      [one, '10.7.0.13'],
      [three, '10.7.0.11'],
      [one, 'fd00:7::12'],
      [one, 'fd00:7::13'],
    ] as const) {
      t.false(await from.answers(to, { waitSeconds: 1 }), `${from.name} to ${to}`);
    }
  };
  const byPorts = async (): Promise<void> => {
    for (const [from, host, who] of [
      [one, '192.0.2.1', 'two'],
      [one, '192.0.2.2', 'three'],
      [three, '192.0.2.1', 'two'],
      [one, '10.7.0.1', 'two'],
    ] as const) {
      await eventually(async () => (await ask(from, 'tcp', host, 8080)) === who, LONG_MS);
    }
  };
  await apart();
  await byPorts();

  // Nor by the gateway's hands, whoever asks it to turn a packet around.
  await one.ip('route add 10.7.0.12/32 via 10.7.0.1 dev eth0');
  await two.ip('route add 10.7.0.11/32 via 10.7.0.1 dev eth0');
  await one.ip('route add 10.7.0.13/32 via 10.7.0.1 dev eth0');
  await apart();
  t.is(await ask(one, 'tcp', '10.7.0.12', 80), '');

  // Somebody lets a port out: it is taken back with the next sweep, and after a start.
  const port = portOf(own);
  t.true(await isIsolated(a, port));
  await a.namespace.ip(`link set dev ${port} type bridge_slave isolated off`);
  await eventually(() => isIsolated(a, port), LONG_MS);
  await a.kill();
  await a.up();
  await apart();
  await byPorts();

  // Without it they do reach each other; and on a plain wire it would leave nobody.
  await a.weft('network', 'create', 'open', '--subnet', '10.8.0.0/24', '--routed');
  await a.attach('open', one, '10.8.0.11', '--ifname', 'eth1');
  await a.attach('open', two, '10.8.0.12', '--ifname', 'eth1');
  await eventually(() => one.answers('10.8.0.12'), LONG_MS);
  const wire = await a.tryWeft('network', 'create', 'x', '--subnet', '10.9.0.0/24', '--isolate');
  t.is(wire.status, 1);
  t.regex(wire.stderr, /isolated and has no gateway.*add --routed or --internal/);
});
