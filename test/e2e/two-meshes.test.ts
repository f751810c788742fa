import test from 'ava';
import type { EndpointInfo, IpamPlan, NetworkDetail, RepairReport } from '../../src/api/control.ts';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { eventually, makeHosts, OPEN, waitForPeers, type WeftHost } from './mesh.ts';

const create = (host: WeftHost, name: string, vni: string, subnet: string): Promise<string> =>
  host.weft('network', 'create', name, '--subnet', subnet, '--vni', vni, '--encap', 'vxlan');

const bare = (address: string): string => address.split('/')[0] ?? '';

async function attached(host: WeftHost, network: string): Promise<readonly EndpointInfo[]> {
  return (await host.json<NetworkDetail>('network', 'inspect', network)).attached;
}

async function warns(host: WeftHost, sentence: RegExp): Promise<boolean> {
  return (await host.status()).warnings.some((warning) => sentence.test(warning));
}

/** The address that a container really has. */
async function addressIn(box: LabNamespace): Promise<string | undefined> {
  return /inet ([\d.]+)\//.exec(await box.ip('-4 addr show dev eth0'))?.[1];
}

test('two meshes of two hosts that are joined later: told, refused, planned alike and repaired', async (t) => {
  const mesh = await makeHosts(t, 'join', ['a', 'b', 'c', 'd']);
  const [a, b, c, d] = mesh.hosts as [WeftHost, WeftHost, WeftHost, WeftHost];
  const names = ['web', 'api', 'db', 'log', 'till', 'new'] as const;
  const boxes = await Promise.all(names.map((name) => mesh.container(name)));
  const [web, api, db, log, till, fresh] = boxes as [
    ...[LabNamespace, LabNamespace, LabNamespace],
    ...[LabNamespace, LabNamespace, LabNamespace],
  ];
  for (const [first, second] of [
    [a, b],
    [c, d],
  ] as const) {
    await first.up(...OPEN);
    await second.up(...OPEN, '--join', first.host.address);
    await waitForPeers(first, 2);
  }
  // One name and VNI twice, with the same subnet; one VNI with two names.
  await create(a, 'blue', '42', '10.7.0.0/24');
  await create(a, 'left', '8', '10.8.0.0/24');
  await create(c, 'blue', '42', '10.7.0.0/24');
  await create(c, 'right', '8', '10.9.0.0/24');
  for (const host of [b, d]) {
    await eventually(async () => (await host.status()).networks === 2, 10_000);
  }
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', api, '10.7.0.130');
  await c.attach('blue', db, '10.7.0.2');
  await d.attach('blue', log, '10.7.0.140');
  await c.attach('right', till, '10.9.0.2', '--ifname', 'eth0');

  await c.weft('join', a.host.address);
  await Promise.all(mesh.hosts.map((host) => waitForPeers(host, 4, 30_000)));
  for (const host of mesh.hosts) {
    await eventually(
      async () =>
        (await warns(host, /^Network blue was made twice, by a with .*later by c/)) &&
        (await warns(host, /^Network right has VNI 8 of the older network left/)),
      20_000,
    );
  }
  // Each goes on as it was, apart from the other.
  for (const [box, address] of [
    [web, '10.7.0.130'],
    [db, '10.7.0.140'],
  ] as const) {
    await eventually(() => box.answers(address, { waitSeconds: 0.5 }), 15_000);
  }
  t.false(await web.answers('10.7.0.140', { waitSeconds: 0.3 }));
  const refused = await d.tryWeft('attach', 'blue', '--netns', fresh.name);
  t.regex(
    refused.stderr,
    /blue can't be attached to on this host: .*blue~[0-9a-f]{8}.*weft ipam plan/,
  );
  const taken = await a.tryWeft('attach', 'blue', '--netns', fresh.name, '--ip', '10.7.0.140');
  t.regex(taken.stderr, /10\.7\.0\.140 of network blue is that of endpoint .* on host d/);

  const plan = await a.json<IpamPlan>('ipam', 'plan');
  const fates = plan.endpoints.map(({ host, address, keeps }) => [host, address, keeps]);
  t.deepEqual(fates.sort(), [
    ['c', '10.7.0.2', false],
    ['d', '10.7.0.140', true],
  ]);
  for (const host of [b, c, d]) {
    await eventually(
      async () => (await host.json<IpamPlan>('ipam', 'plan')).plan === plan.plan,
      10_000,
    );
  }
  t.log(await a.weft('ipam', 'plan'));
  const stale = await b.tryWeft('ipam', 'repair', '0123456789ab');
  t.is(stale.status, 1);
  t.regex(stale.stderr, new RegExp(`0123456789ab is not .*nothing was changed.*${plan.plan}`));

  // On two hosts at once.
  const reports = await Promise.all(
    [b, c].map((host) => host.json<RepairReport>('ipam', 'repair', plan.plan)),
  );
  for (const { waiting } of reports) t.deepEqual(waiting, []);
  for (const host of mesh.hosts) {
    await eventually(async () => (await attached(host, 'blue')).length === 4, 20_000);
    const all = (await attached(host, 'blue')).map(({ address }) => bare(address));
    t.is(new Set(all).size, 4, all.join(' '));
    t.true(all.includes('10.7.0.140'));
    t.is((await host.json<IpamPlan>('ipam', 'plan')).plan, '');
    const left = (await host.status()).warnings.filter((warning) =>
      /^Network (blue|right)/.test(warning),
    );
    t.deepEqual(left, []);
  }
  const moved = (await attached(c, 'blue')).find(({ host }) => host === 'c');
  await eventually(async () => (await addressIn(db)) === bare(moved?.address ?? ''), 15_000);
  t.is(await addressIn(log), '10.7.0.140');
  // One Ethernet: the older mesh's containers and the younger's reach each other.
  for (const [box, address] of [
    [web, '10.7.0.140'],
    [db, '10.7.0.130'],
  ] as const) {
    await eventually(() => box.answers(address, { waitSeconds: 0.5 }), 15_000);
  }
  t.truthy((await d.json<EndpointInfo>('attach', 'blue', '--netns', fresh.name)).address);
  // Again, it has nothing to do.
  t.is((await a.tryWeft('ipam', 'repair', plan.plan)).status, 0);
});
