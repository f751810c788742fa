import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Lab, type LabHost, type LabNamespace } from '../../bench/lib/lab.ts';
import { containers, joinAll, linkTo, LONG_MS, NFT, sealedNetwork, waitForPath } from './links.ts';
import { eventually, WeftHost, type TestMesh } from './mesh.ts';

/** What a NAT does with a source address, and with what comes unasked (RFC 4787; the names of RFC 3489). */
type NatKind = 'full-cone' | 'port-restricted' | 'symmetric';

interface NatOptions {
  readonly lab: Lab;
  readonly kind: NatKind;
  readonly net: string;
}

/** Last number of the addresses behind each NAT, in the order of the hosts there. */
const FIRST_INSIDE = 2;

/** Hosts behind a NAT of a kind: their only way out. Unasked packets are dropped, so that they leave no trace in it. */
async function addNat(
  router: LabHost,
  inside: readonly LabNamespace[],
  { lab, kind, net }: NatOptions,
): Promise<void> {
  const { namespace } = router;
  await namespace.ip('link add in type bridge');
  await namespace.ip(`addr add ${net}.1/24 dev in`);
  await namespace.ip('link set in up');
  for (const [index, each] of inside.entries()) {
    await lab.link([each, 'u0'], [namespace, `in${index}`]);
    await namespace.ip(`link set in${index} master in`);
    await each.ip(`addr add ${net}.${FIRST_INSIDE + index}/24 dev u0`);
    await each.ip(`route add default via ${net}.1`);
  }
  await namespace.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  const map = `add rule ip nat pre iifname u0 udp dport 7783 dnat to ${net}.${FIRST_INSIDE}:7783`;
  await namespace.run(NFT, [
    [
      'add table ip nat',
      'add chain ip nat pre { type nat hook prerouting priority -100; }',
      'add chain ip nat post { type nat hook postrouting priority 100; }',
      'add chain ip nat in { type filter hook input priority 0; }',
      'add rule ip nat in iifname u0 ct state new drop',
      `add rule ip nat post oifname u0 masquerade${kind === 'symmetric' ? ' fully-random' : ''}`,
      ...(kind === 'full-cone' ? [map] : []),
    ].join('; '),
  ]);
}

interface Natted extends TestMesh {
  readonly hosts: readonly [WeftHost, WeftHost, WeftHost];
}

/** A host p in the open, and hosts a and b behind NATs of their own. */
async function behindNats(
  t: ExecutionContext,
  area: string,
  kinds: readonly [NatKind, NatKind],
): Promise<Natted> {
  const lab = new Lab(area);
  const directory = mkdtempSync(join(tmpdir(), `weft-t${area}-`));
  t.teardown(async () => {
    await lab.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  const [p, ...routers] = await lab.underlay(['p', 'na', 'nb']);
  if (p === undefined) throw new Error('three hosts were asked for');
  const made: WeftHost[] = [new WeftHost('p', p, directory, 'native')];
  for (const [index, router] of routers.entries()) {
    const name = 'ab'[index] ?? '';
    const namespace = await lab.namespace(name);
    const net = `10.0.${index + 1}`;
    await addNat(router, [namespace], { lab, kind: kinds[index] ?? 'symmetric', net });
    const host = { namespace, address: `${net}.2`, address6: '', ifname: 'u0' };
    made.push(new WeftHost(name, host, directory, 'native'));
  }
  const hosts = made as unknown as Natted['hosts'];
  return { lab, hosts, container: (name) => lab.namespace(name) };
}

const CASES: readonly (readonly [NatKind, NatKind, 'direct' | 'relay'])[] = [
  ['port-restricted', 'port-restricted', 'direct'],
  ['full-cone', 'symmetric', 'direct'],
  ['port-restricted', 'symmetric', 'relay'],
  ['symmetric', 'symmetric', 'relay'],
];

for (const [index, [one, other, kind]] of CASES.entries()) {
  test(`NATs: ${one} to ${other}: ${kind}, as weft links says`, async (t) => {
    const mesh = await behindNats(t, `nat${index}`, [one, other]);
    const [p, a, b] = mesh.hosts;
    await joinAll(mesh.hosts);
    await sealedNetwork(mesh.hosts);
    const [, web] = await containers(mesh);
    if (web === undefined) throw new Error('three containers were asked for');
    await eventually(() => web.answers('10.7.0.4'), LONG_MS);
    const path = kind === 'relay' ? /^relay p$/ : /^direct 192\.0\.2\.3:\d+$/;
    await waitForPath(a, b, path);
    await waitForPath(b, a, kind === 'relay' ? /^relay p$/ : /^direct 192\.0\.2\.2:\d+$/);
    const link = await linkTo(a, b);
    t.is(link.kind, kind);
    t.is(link.keys, 'sealed');
    t.log(`a to b: ${link.path}, because ${link.why}`);
    t.true(await web.answers('10.7.0.4'));
    t.regex((await linkTo(p, a)).path, /^direct 192\.0\.2\.2:\d+$/);
    const private_ = link.paths.find((each) => each.path === `direct ${b.host.address}:7783`);
    t.not(private_?.state, 'up', 'what is behind another NAT is not reached at its own address');
  });
}

/** p in the open; a and c behind one NAT, b behind another, in a private network of the same numbers, at c's address. */
async function withOneAddress(t: ExecutionContext): Promise<TestMesh> {
  const lab = new Lab('natsame');
  const directory = mkdtempSync(join(tmpdir(), 'weft-tnatsame-'));
  t.teardown(async () => {
    await lab.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  const [p, na, nb] = await lab.underlay(['p', 'na', 'nb']);
  if (!p || !na || !nb) throw new Error('three hosts were asked for');
  const [a, c, x, b] = await Promise.all(['a', 'c', 'x', 'b'].map((name) => lab.namespace(name)));
  if (!a || !c || !x || !b) throw new Error('four namespaces were asked for');
  const [kind, net] = ['port-restricted', '10.0.1'] as const;
  await addNat(na, [a, c], { lab, kind, net });
  // x only takes the first address.
  await addNat(nb, [x, b], { lab, kind, net });
  const at = (name: string, namespace: LabNamespace, last: number): WeftHost => {
    const host = { namespace, address: `${net}.${last}`, address6: '', ifname: 'u0' };
    return new WeftHost(name, host, directory, 'native');
  };
  const hosts = [
    new WeftHost('p', p, directory, 'native'),
    ...[at('a', a, FIRST_INSIDE), at('b', b, FIRST_INSIDE + 1), at('c', c, FIRST_INSIDE + 1)],
  ];
  return { lab, hosts, container: (name) => lab.namespace(name) };
}

test('NATs: two hosts with one private address behind two NATs are not taken for each other', async (t) => {
  const mesh = await withOneAddress(t);
  const [, a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('four hosts were asked for');
  await joinAll(mesh.hosts);
  await sealedNetwork(mesh.hosts);
  const [, web] = await containers(mesh);
  if (web === undefined) throw new Error('four containers were asked for');
  const shared = `direct ${b.host.address}:7783`;
  t.is(b.host.address, c.host.address);
  // c is in a's own network, at the address that b says is its own, too.
  await waitForPath(a, c, /^direct 10\.0\.1\.3:7783$/);
  await waitForPath(a, b, /^direct 192\.0\.2\.3:\d+$/);
  await waitForPath(b, a, /^direct 192\.0\.2\.2:\d+$/);
  await waitForPath(b, c, /^direct 192\.0\.2\.2:\d+$/);
  await waitForPath(c, b, /^direct 192\.0\.2\.3:\d+$/);
  await eventually(
    async () =>
      (await linkTo(a, b)).paths.some(({ path, state }) => path === shared && state === 'down'),
    LONG_MS,
  );
  // What came to c for b was refused, and not answered.
  const { counters } = (await c.status()).links;
  t.true((counters['probeMisdirected'] ?? 0) > 0);
  for (const [index, host] of [b, c].entries()) {
    const link = await linkTo(a, host);
    t.is(link.keys, 'sealed');
    t.log(`a to ${host.name}: ${link.path}, because ${link.why}`);
    const before = link.traffic.txFrames;
    await eventually(() => web.answers(`10.7.0.${index + 4}`), LONG_MS);
    t.true((await linkTo(a, host)).traffic.txFrames > before, 'its frames go to it');
  }
});
