import test from 'ava';
import type { EndpointInfo } from '../../../src/api/control.ts';
import type { MortalHost } from '../../daemon/mortal-host.ts';
import { makeHosts, refusal, type FakeEngine } from './engine.ts';

const SUBNET = '10.77.0.0/24';
const SUBNET6 = 'fd00:77::/64';
const NAME = 'docker-10.77.0.0-24';

/** An engine's container from its addresses to its interface. */
async function run(engine: FakeEngine, number: number, pools: readonly [string, string]) {
  const [address, address6] = [await engine.address(pools[0]), await engine.address(pools[1])];
  await engine.createEndpoint(number, address, { address6 });
  const joined = await engine.joined(number);
  return { address, address6, joined };
}

async function stop(
  engine: FakeEngine,
  number: number,
  pools: readonly [string, string],
  addresses: readonly [string, string],
): Promise<void> {
  await engine.leave(number);
  await engine.deleteEndpoint(number);
  for (const index of [0, 1] as const) await engine.release(pools[index], addresses[index]);
}

const used = async (host: MortalHost): Promise<number[]> =>
  (await host.control.ipamStatus()).map(({ here }) => here.used);

test('with --ipv6 a container has both addresses, both gateways, and nothing is left of it', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  const pools = await one.createDual(SUBNET, SUBNET6);
  await world.pass(1000);
  t.like((await b.control.listNetworks())[0], {
    ...{ name: NAME, subnet: SUBNET, subnet6: SUBNET6, edge: 'routed' },
    ...{ gateway: '10.77.0.1', gateway6: 'fd00:77::1' },
  });
  const web = await run(one, 1, pools);
  t.regex(web.address, /^10\.77\.0\.\d+\/24$/);
  t.regex(web.address6, /^fd00:77:[0-9a-f:]+\/64$/);
  t.like(web.joined, { Gateway: '10.77.0.1', GatewayIPv6: 'fd00:77::1' });

  // The other engine means the same network, and has other addresses of it.
  const others = await two.createDual(SUBNET, SUBNET6);
  t.deepEqual(others, pools, 'one network, one pair of pools');
  const db = await run(two, 2, others);
  await world.pass(1000);
  const rows: EndpointInfo[] = await a.endpoints();
  t.deepEqual(
    rows.map(({ address, address6 }) => [address, address6]).sort(),
    [
      [web.address, web.address6],
      [db.address, db.address6],
    ].sort(),
  );
  t.is(new Set(rows.flatMap(({ address, address6 }) => [address, address6])).size, 4);

  await stop(one, 1, pools, [web.address, web.address6]);
  await stop(two, 2, others, [db.address, db.address6]);
  t.deepEqual(
    [await used(a), await used(b)],
    [
      [0, 0],
      [0, 0],
    ],
  );
  await one.deleteNetwork();
  await two.deleteNetwork();
  await world.pass(1000);
  t.deepEqual(await a.control.listNetworks(), []);
});

test('the engine asks again for both addresses after its start, and gets no third', async (t) => {
  const { world, a, one } = await makeHosts(t);
  const pools = await one.createDual(SUBNET, SUBNET6);
  const { address, address6 } = await run(one, 1, pools);
  a.kill();
  t.is(await a.start(), 'ready');
  await world.pass(1000);
  t.deepEqual(await used(a), [1, 1]);
  t.is(await one.pool(SUBNET), pools[0]);
  t.is(await one.pool(SUBNET6, { V6: true }), pools[1]);
  t.is(await one.gateway(pools[1], 'fd00:77::1'), 'fd00:77::1/64');
  t.is(await one.address(pools[0], address.split('/')[0]), address);
  t.is(await one.address(pools[1], address6.split('/')[0]), address6);
  const [row] = await a.endpoints();
  t.deepEqual([row?.address, row?.address6], [address, address6]);
  t.regex(await refusal(one.address(pools[1], address6.split('/')[0])), /belongs to/);
  t.deepEqual(await used(a), [1, 1]);
});

test('an engine without --ipv6 on such a network has IPv4 alone, and says so of IPv6', async (t) => {
  const { world, two, one } = await makeHosts(t);
  await one.createDual(SUBNET, SUBNET6);
  await world.pass(1000);
  const pool = await two.createNetwork(SUBNET);
  const address = await two.address(pool);
  t.regex(
    await refusal(two.createEndpoint(1, address, { address6: 'fd00:77::9/64' })),
    /has no IPv6/,
  );
  await two.createEndpoint(1, address);
  const joined = await two.joined(1);
  t.is(joined['Gateway'], '10.77.0.1');
  t.false('GatewayIPv6' in joined, 'it would have no address to reach it from');
});

test('what there is must be what is asked for: subnet and gateway of both families', async (t) => {
  const { a, one } = await makeHosts(t);
  await a.run((control) =>
    control.createNetwork({ name: 'lan', subnet: SUBNET, edge: 'routed', vni: 7 }),
  );
  const named = {
    options: { 'weft.network': 'lan' },
    ipam: { Options: { 'weft.network': 'lan' } },
  };
  const sentence = await refusal(one.createDual(SUBNET, SUBNET6, named));
  t.regex(sentence, /has the subnet 10\.77\.0\.0\/24 and not fd00:77::\/64|IPv6 subnet none/);
  t.deepEqual(
    (await a.control.listNetworks()).map(({ name }) => name),
    ['lan'],
  );
  await a.run((control) =>
    control.createNetwork({
      ...{ name: 'two', subnet: '10.78.0.0/24', subnet6: 'fd00:78::/64', edge: 'routed' },
      gateway6: 'fd00:78::fe',
    }),
  );
  const second = {
    ...{ id: 'b'.repeat(64), options: { 'weft.network': 'two' } },
    ipam: { Options: { 'weft.network': 'two' } },
  };
  t.regex(
    await refusal(
      one.createDual('10.78.0.0/24', 'fd00:78::/64', { ...second, gateway6: 'fd00:78::1' }),
    ),
    /has the gateway fd00:78::fe and not fd00:78::1/,
  );
  const pools = await one.createDual('10.78.0.0/24', 'fd00:78::/64', second);
  t.deepEqual(pools, ['weft,two,10.78.0.0/24', 'weft,two,fd00:78::/64']);
});
