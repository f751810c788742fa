import test from 'ava';
import { AddressWorld, type AddressHost } from './address-hosts.ts';

const bare = (address: string): string => address.split('/')[0] ?? address;

test('a pool that is used up says so in one sentence, and what is only at rest or out of reach', async (t) => {
  const world = new AddressWorld('a', 'b', 'c');
  const blue = world.network('blue', '10.7.0.0/28');
  await world.pass(1_000, 10);
  const [a, b, c] = world.hosts as [AddressHost, AddressHost, AddressHost];
  const given = [];
  for (let index = 0; index < 14; index++) {
    given.push((await world.hosts[index % 3]?.attach(blue))?.address);
  }
  t.is(new Set(given).size, 14);
  await t.throwsAsync(a.attach(blue), {
    code: 'E_ADDRESS_EXHAUSTED',
    message:
      'No address of 10.7.0.0/28 is free in network blue; detach an endpoint, or make a network with a larger subnet.',
  });
  const [gone] = a.directory.endpointsOf(a.id);
  a.directory.removeEndpoint({ host: a.id, id: gone?.id ?? '' });
  await t.throwsAsync(a.attach(blue), {
    code: 'E_ADDRESS_EXHAUSTED',
    message: /1 were freed just now/,
  });
  await world.pass(31_000);
  t.is((await a.attach(blue)).address, String(gone?.address));
  world.setAway(c, true);
  await t.throwsAsync(b.attach(blue), { code: 'E_ADDRESS_EXHAUSTED' });
});

test('a pool smaller than its hosts serves those who come first, and tells the others', async (t) => {
  const world = new AddressWorld('a', 'b', 'c', 'd', 'e', 'f');
  const blue = world.network('blue', '10.7.0.0/30');
  await world.pass(1_000, 10);
  const outcomes = [];
  for (const host of world.hosts) {
    outcomes.push(
      await host.attach(blue).then(
        ({ address }) => bare(address),
        (error: unknown) => (error as { code: string }).code,
      ),
    );
  }
  t.deepEqual(outcomes.filter((each) => each.startsWith('10.')).sort(), ['10.7.0.1', '10.7.0.2']);
  t.is(outcomes.filter((each) => each === 'E_ADDRESS_EXHAUSTED').length, 4, outcomes.join(' '));
});

test('an address inside the range of a host that is away is had when its lease has ended, not before', async (t) => {
  const world = new AddressWorld('a', 'b', 'c');
  const blue = world.network('blue', '10.7.0.0/24');
  await world.pass(1_000, 10);
  const [a, , c] = world.hosts as [AddressHost, AddressHost, AddressHost];
  const used = await c.attach(blue);
  world.setAway(c, true);
  const wanted = '10.7.0.230';
  await t.throwsAsync(a.attach(blue, wanted), {
    code: 'E_ADDRESS_AWAY',
    message: /10\.7\.0\.230 of 10\.7\.0\.0\/24 is owned by host c, which does not answer/,
  });
  await world.pass(700_000, 1_000);
  t.is(bare((await a.attach(blue, wanted)).address), wanted);
  await t.throwsAsync(a.attach(blue, used.address), { code: 'E_ADDRESS_TAKEN' });
  world.setAway(c, false);
  await t.throwsAsync(c.attach(blue, wanted), { code: 'E_ADDRESS_TAKEN' });
  t.not(bare((await c.attach(blue)).address), wanted);
});

test('an IPv6 pool of 2^64 addresses: chosen, asked for, and owned as others are', async (t) => {
  const world = new AddressWorld('a', 'b', 'c');
  const blue = world.network('blue', 'fd00:7::/64', { gateway: 'fd00:7::1' });
  await world.pass(1_000, 10);
  const [a, b, c] = world.hosts as [AddressHost, AddressHost, AddressHost];
  const far = 'fd00:7::ffff:ffff:ffff:fffe';
  const given = [
    await a.attach(blue),
    await b.attach(blue),
    await c.attach(blue),
    await a.attach(blue, far),
  ];
  t.is(new Set(given.map(({ address }) => address)).size, 4);
  t.true(given.every(({ address }) => address.startsWith('fd00:7:') && address.endsWith('/64')));
  t.is(bare(given[3]?.address ?? ''), far);
  await t.throwsAsync(b.attach(blue, far), { code: 'E_ADDRESS_TAKEN' });
});
