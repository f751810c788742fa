import test, { type ExecutionContext } from 'ava';
import { DATA_PLANES, type DataPlaneName, eventually, startMesh } from './mesh.ts';

async function twoHostsAreOneEthernet(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const mesh = await startMesh(t, `two${kind[0]}`, ['a', 'b'], kind);
  const [a, b] = mesh.hosts;
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await eventually(() => web.answers('10.7.0.3'), 20_000);

  for (const bytes of [64, 1400]) {
    const { sent, received } = await web.ping('10.7.0.3', {
      count: 1000,
      intervalSeconds: 0.002,
      bytes,
    });
    t.is(sent, 1000);
    t.is(received, 1000, `${bytes} byte pings`);
  }

  const there = await web.transferTo(db, { address: '10.7.0.3', bytes: 10_000_000 });
  const back = await db.transferTo(web, { address: '10.7.0.2', bytes: 10_000_000, seed: 2 });
  t.true(there.isIntact);
  t.true(back.isIntact);
  t.is(there.bytes, 10_000_000);

  const datagram = await web.transferTo(db, {
    ...{ address: '10.7.0.3', protocol: 'udp', bytes: 60_000 },
  });
  t.true(datagram.isIntact);
  t.is(datagram.bytes, 60_000);
}

for (const kind of DATA_PLANES) {
  test(`${kind}: pings, TCP and fragmented UDP cross between two hosts unharmed`, (t) =>
    twoHostsAreOneEthernet(t, kind));
}
