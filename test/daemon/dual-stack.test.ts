import test from 'ava';
import { addressesOf } from '../../src/network/endpoint.ts';
import { AddressWorld, type AddressHost } from './address-hosts.ts';

const DAY_MS = 86_400_000;
/** Longer than an address rests. */
const REST_MS = 31_000;

async function dual(subnet = '10.7.0.0/24', subnet6 = 'fd00:7::/64') {
  const world = new AddressWorld('a', 'b', 'c');
  const blue = world.network(
    'blue',
    subnet,
    { gateway: '10.7.0.1', gateway6: 'fd00:7::1' },
    subnet6,
  );
  await world.pass(1_000, 10);
  const [a, b, c] = world.hosts as [AddressHost, AddressHost, AddressHost];
  return { world, blue, a, b, c };
}

const heldBy = ({ addresses }: AddressHost): number[] =>
  addresses.pools().map(({ holding }) => holding.book.held.size);

test('an endpoint gets an address of both pools, never the gateway, none twice in the mesh', async (t) => {
  const { blue, a, b, c } = await dual();
  const rows = [];
  for (const host of [a, b, c, a, b, c]) rows.push(await host.attach(blue));
  const all = rows.flatMap(addressesOf);
  t.is(new Set(all).size, 12);
  t.is(all.filter((address) => /^10\.7\.0\.\d+\/24$/.test(address)).length, 6);
  t.is(all.filter((address) => /^fd00:7::[0-9a-f:]+\/64$/.test(address)).length, 6);
  t.false(all.some((address) => ['10.7.0.1/24', 'fd00:7::1/64'].includes(address)));
  t.deepEqual(heldBy(a), [2, 2]);
});

test('both are as asked, and refused as asked: then neither is held', async (t) => {
  const { world, blue, a, b } = await dual();
  const web = await a.attach(blue, '10.7.0.20', 'fd00:7::20');
  t.deepEqual(addressesOf(web), ['10.7.0.20/24', 'fd00:7::20/64']);
  await t.throwsAsync(b.attach(blue, '10.7.0.21', 'fd00:7::20'), {
    ...{ code: 'E_ADDRESS_TAKEN', message: /fd00:7::20 .*host a/ },
  });
  t.deepEqual(heldBy(b), [0, 0]);
  await world.pass(REST_MS);
  t.deepEqual(addressesOf(await b.attach(blue, '10.7.0.21')), [
    '10.7.0.21/24',
    b.directory.endpointsOf(b.id)[0]?.address6 ?? '',
  ]);
});

test('where one pool has no address left, nothing of the other is held', async (t) => {
  const { blue, a, b, c } = await dual('10.7.0.0/24', 'fd00:7::/126');
  // Of four addresses, one is the routers' anycast address and one the gateway.
  await a.attach(blue);
  await b.attach(blue);
  for (const host of [a, b, c]) {
    const before = heldBy(host);
    await t.throwsAsync(host.attach(blue), {
      ...{ code: 'E_ADDRESS_EXHAUSTED', message: /No address of fd00:7::\/126 is free/ },
    });
    t.deepEqual(heldBy(host), before);
  }
});

test('both go with the row, and both are held again after a start', async (t) => {
  const { world, blue, a, b } = await dual();
  const web = await a.attach(blue, '10.7.0.20', 'fd00:7::20');
  a.start();
  await world.pass(1_000, 10);
  t.deepEqual(heldBy(a), [1, 1]);
  for (const [ip, ip6] of [
    ['10.7.0.20', undefined],
    [undefined, 'fd00:7::20'],
  ]) {
    await t.throwsAsync(b.attach(blue, ip, ip6), { code: 'E_ADDRESS_TAKEN' });
  }
  a.directory.removeEndpoint(web);
  t.deepEqual(heldBy(a), [0, 0]);
  await world.pass(REST_MS);
  t.deepEqual(addressesOf(await b.attach(blue, '10.7.0.20', 'fd00:7::20')), addressesOf(web));
});

test('an endpoint whose host has lost one pool loses both addresses', async (t) => {
  const { world, blue, a, b, c } = await dual();
  const lost = await c.attach(blue);
  world.setAway(c, true);
  await world.pass(DAY_MS + 60_000, 10_000);
  for (const host of [a, b]) t.deepEqual(host.directory.endpointsOf(c.id), []);
  const [ip, ip6] = addressesOf(lost).map((each) => each.split('/')[0]);
  t.deepEqual(addressesOf(await b.attach(blue, ip, ip6)), addressesOf(lost));
  world.setAway(c, false);
  await world.pass(60_000);
  t.deepEqual(c.directory.endpointsOf(c.id), []);
  t.is(c.addresses.losses.length, 1, 'one sentence for the network');
});

test('to forget a host takes what it has in both pools', async (t) => {
  const { world, blue, a, c } = await dual();
  const lost = await c.attach(blue);
  world.setAway(c, true);
  await world.until(a.addresses.forget(c.id, false));
  await world.pass(1_000, 10);
  t.deepEqual(a.directory.endpointsOf(c.id), []);
  const owners = a.addresses
    .pools()
    .map(({ holding }) => holding.chosen.shares.map((s) => s.owner));
  t.is(owners.length, 2);
  for (const each of owners) t.false(each.includes(c.id));
  const [ip, ip6] = addressesOf(lost).map((each) => each.split('/')[0]);
  t.deepEqual(addressesOf(await a.attach(blue, ip, ip6)), addressesOf(lost));
});

test('an endpoint that an older version made there has one address, and keeps it', async (t) => {
  const { blue, a, b } = await dual();
  const old = await a.attach(blue, '10.7.0.20', 'fd00:7::20');
  const row = { ...old };
  Reflect.deleteProperty(row, 'address6');
  a.directory.putEndpoint(row);
  t.deepEqual(heldBy(a), [1, 0]);
  t.deepEqual(b.directory.endpoints().map(addressesOf), [['10.7.0.20/24']]);
});
