import test from 'ava';
import { MortalHost, World } from './mortal-host.ts';

const ID = '0123456789abcdef0123456789abcdef';
const SHARED = { name: 'pods', subnet: '10.7.0.0/24', shared: true } as const;

async function pair() {
  const world = new World(11);
  const a = new MortalHost('a', '192.0.2.1', world);
  const b = new MortalHost('b', '192.0.2.2', world);
  for (const host of [a, b]) {
    host.addSandbox('/run/netns/x');
    await host.start();
  }
  await b.run((control) => control.join(['192.0.2.1']));
  return { world, a, b };
}

test('hosts that make a shared network at once make one, and its addresses are given once', async (t) => {
  const { world, a, b } = await pair();
  const made = await world.until(
    Promise.all([a, b].map((host) => host.run((control) => control.createNetwork(SHARED)))),
  );
  const [first, second] = made;
  if (typeof first !== 'object' || typeof second !== 'object') return t.fail();
  t.is(first.id, second.id);
  t.is(first.vni, second.vni);
  const attached = await world.until(
    Promise.all(
      [a, b].map((host) =>
        host.run((control) => control.attach({ network: 'pods', netns: '/run/netns/x' })),
      ),
    ),
  );
  t.is(new Set(attached.map((each) => (typeof each === 'object' ? each.address : each))).size, 2);
  const another = await a.run((control) =>
    control.createNetwork({ ...SHARED, name: 'other', subnet: '10.8.0.0/24' }),
  );
  t.not(typeof another === 'object' ? another.id : '', first.id);
});

test('hosts that make one with a prefix made up at once have the same prefix', async (t) => {
  const { world, a, b } = await pair();
  const request = { ...SHARED, ipv6: true };
  const [first, second] = await world.until(
    Promise.all([a, b].map((host) => host.run((control) => control.createNetwork(request)))),
  );
  if (typeof first !== 'object' || typeof second !== 'object') return t.fail();
  t.is(first.id, second.id);
  t.regex(first.subnet6 ?? '', /^fd[0-9a-f]{2}:.*::\/64$/);
  t.is(first.subnet6, second.subnet6);
});

test('hosts apart make up two prefixes, and the younger network is merged while it is empty', async (t) => {
  const world = new World(12);
  const hosts = [['a', '192.0.2.1'] as const, ['b', '192.0.2.2'] as const].map(
    ([name, address]) => new MortalHost(name, address, world),
  );
  const [a, b] = hosts as [MortalHost, MortalHost];
  for (const host of hosts) {
    await host.start();
    await host.run((control) => control.createNetwork({ ...SHARED, ipv6: true }));
    await world.pass(1_000);
  }
  const prefixes = await Promise.all(hosts.map((host) => host.control.listNetworks()));
  t.not(prefixes[0]?.[0]?.subnet6, prefixes[1]?.[0]?.subnet6);
  await b.run((control) => control.join(['192.0.2.1']));
  await world.pass(10_000);
  for (const host of [a, b]) t.deepEqual(await host.control.listNetworks(), prefixes[0]);
});

test('an id that the caller chose is one attachment, and can be chosen again once it is gone', async (t) => {
  const { a } = await pair();
  await a.run((control) => control.createNetwork(SHARED));
  const request = { network: 'pods', netns: '/run/netns/x', id: ID, origin: 'cni pods c1' };
  t.like(await a.run((control) => control.attach(request)), {
    endpoint: ID,
    origin: 'cni pods c1',
  });
  t.is(await a.run((control) => control.attach(request)), 'refused');
  a.addSandbox('/run/netns/y');
  t.is(await a.run((control) => control.attach({ ...request, netns: '/run/netns/y' })), 'refused');
  a.kill();
  await a.start();
  t.is((await a.endpoints())[0]?.origin, 'cni pods c1');
  await a.run((control) => control.detach({ endpoint: ID }));
  t.like(await a.run((control) => control.attach(request)), { endpoint: ID });
});
