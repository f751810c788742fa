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
