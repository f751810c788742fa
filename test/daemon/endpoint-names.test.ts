import test from 'ava';
import { MortalHost, World } from './mortal-host.ts';

const NETNS = '/run/netns/web';

test('names come with attach, go with rename, reach the others and outlive a crash', async (t) => {
  const world = new World(7);
  const a = new MortalHost('a', '192.0.2.1', world);
  const b = new MortalHost('b', '192.0.2.2', world);
  a.addSandbox(NETNS);
  await a.start();
  await b.start();
  await b.run((control) => control.join(['192.0.2.1']));
  await a.run((control) => control.createNetwork({ name: 'blue', subnet: '10.7.0.0/24' }));

  const request = { network: 'blue', netns: NETNS, ip: '10.7.0.2' };
  t.is(await a.run((control) => control.attach({ ...request, names: ['a b'] })), 'refused');
  t.deepEqual(await a.endpoints(), []);
  const named = await a.run((control) => control.attach({ ...request, names: ['Web', 'www.'] }));
  if (typeof named === 'string') return t.fail(named);
  t.deepEqual(named.names, ['web', 'www']);
  await world.pass(1000);
  t.deepEqual((await b.endpoints())[0]?.names, ['web', 'www']);

  const { endpoint } = named;
  const elsewhere = b.run((control) => control.rename({ endpoint, names: ['mine'] }));
  t.is(await elsewhere, 'refused');
  await a.run((control) => control.rename({ endpoint: endpoint.slice(0, 6), names: ['db'] }));
  await world.pass(1000);
  t.deepEqual((await b.endpoints())[0]?.names, ['db']);

  a.kill();
  await a.start();
  t.deepEqual((await a.endpoints())[0]?.names, ['db']);
  await a.run((control) => control.attach(request));
  t.deepEqual(
    (await a.endpoints())[0]?.names,
    ['db'],
    'asked again without names, it keeps its own',
  );
  await a.run((control) => control.attach({ ...request, names: [] }));
  t.false('names' in ((await a.endpoints())[0] ?? {}));
});
