import test from 'ava';
import { poolsOf } from '../../src/network/subnets.ts';
import { AddressWorld, type AddressHost } from './address-hosts.ts';

const DAY_MS = 86_400_000;

async function threeHosts() {
  const world = new AddressWorld('a', 'b', 'c');
  const blue = world.network('blue', '10.7.0.0/24');
  await world.pass(1_000, 10);
  const [a, b, c] = world.hosts as [AddressHost, AddressHost, AddressHost];
  return { world, blue, a, b, c };
}

const addressesOf = ({ directory }: AddressHost): string[] =>
  directory.endpoints().map(({ address }) => address.split('/')[0] ?? '');

test('the rows of a host that is away for longer than its endpoints keep their addresses go', async (t) => {
  const { world, blue, a, b, c } = await threeHosts();
  const { address: lost } = await c.attach(blue);
  const { address: kept } = await a.attach(blue);
  world.setAway(c, true);
  await world.pass(DAY_MS - 60_000, 10_000);
  await t.throwsAsync(b.attach(blue, lost), { code: 'E_ADDRESS_TAKEN', message: /on host c;/ });
  t.is(addressesOf(b).length, 2);
  await world.pass(120_000, 1_000);
  for (const host of [a, b]) t.deepEqual(addressesOf(host), [kept.split('/')[0]]);
  t.is((await b.attach(blue, lost)).address, lost);
});

for (const restarts of [false, true]) {
  const how = restarts ? ' and starts anew' : '';
  test(`a host that comes back after that${how} learns what it lost before it allocates, and says so`, async (t) => {
    const { world, blue, a, b, c } = await threeHosts();
    const { address: lost } = await c.attach(blue);
    world.setAway(c, true);
    await world.pass(DAY_MS + 60_000, 10_000);
    await b.attach(blue, lost);
    t.is(addressesOf(c).length, 1);
    if (restarts) c.start();
    world.setAway(c, false);
    const { address, epoch } = await c.attach(blue);
    t.not(address, lost);
    t.true((epoch ?? 0) > 0);
    await world.pass(1_000, 10);
    // Its own old row is gone, its new one stays.
    t.deepEqual(
      c.directory.endpointsOf(c.id).map((endpoint) => endpoint.address),
      [address],
    );
    t.is(c.losses, 1);
    t.regex(
      c.addresses.losses.join(' '),
      /^All addresses of network blue were taken from this host while it was away \(expired\), .*attached again\.$/,
    );
    await world.pass(60_000);
    t.true(addressesOf(a).includes(address.split('/')[0] ?? ''));
  });
}

test('an endpoint that moves is not in its own way, whatever else is acquired meanwhile', async (t) => {
  const { world, blue, a, c } = await threeHosts();
  a.directory.putNetwork({ ...blue, id: 'c'.repeat(32), createdAt: '2026-02-02T00:00:00Z' });
  const younger = a.directory.networks().find(({ id }) => id !== blue.id);
  if (younger === undefined) return t.fail('there is no second network');
  await world.pass(1_000, 10);
  const [pool] = poolsOf(blue);
  // A part of the subnet that host c owns: it has to be asked, which takes its time.
  const wanted = '10.7.0.200';
  const { id } = await a.attach(younger, wanted);
  await t.throwsAsync(world.until(a.addresses.acquireFrom(pool, wanted)), {
    code: 'E_NETWORK_DISPUTED',
  });
  const moving = a.addresses.acquireFrom(pool, wanted, id);
  const others = [a.addresses.acquireFrom(pool), a.addresses.acquireFrom(pool, '10.7.0.201')];
  t.is((await world.until(moving)).address, `${wanted}/24`);
  await world.until(Promise.all(others));
  t.is(c.directory.endpoint(id)?.address, `${wanted}/24`);
});
