import test from 'ava';
import { eventually, makeHosts, waitForPeers, type WeftHost, upJoined } from './mesh.ts';

const PORTS = [5001, 5002, 5003, 5004, 5005, 5006] as const;

/** Queues that a TAP device's owner has open, by `ip -d`. */
async function queuesOf(host: WeftHost): Promise<readonly number[]> {
  const links = (await host.namespace.ipJson('-d link show type tun')) as readonly {
    readonly linkinfo?: { readonly info_data?: { readonly numqueues?: number } };
  }[];
  return links.map(({ linkinfo }) => linkinfo?.info_data?.numqueues ?? 1);
}

test('with two threads many flows cross unharmed, also after a restart with one', async (t) => {
  const mesh = await makeHosts(t, 'thr', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up('--threads', '2');
  await upJoined(b, a, '--threads', '2');
  await waitForPeers(a, 2);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  t.regex((await a.status()).dataPlane.features['threads'] ?? '', /^2,/);
  t.deepEqual(await queuesOf(a), [2]);

  const { received } = await web.ping('10.7.0.3', { count: 500, intervalSeconds: 0.002 });
  t.is(received, 500);
  const transfers = await Promise.all(
    PORTS.map((port, index) =>
      index % 2 === 0
        ? web.transferTo(db, { address: '10.7.0.3', port, seed: port })
        : db.transferTo(web, { address: '10.7.0.2', port, seed: port }),
    ),
  );
  for (const { isIntact, bytes } of transfers) {
    t.true(isIntact);
    t.is(bytes, 10_000_000);
  }

  await a.kill();
  await a.up();
  await eventually(async () => (await web.ping('10.7.0.3', { count: 1 })).received === 1, 15_000);
  t.deepEqual(await queuesOf(a), [1]);
  t.true((await web.transferTo(db, { address: '10.7.0.3' })).isIntact);
});
