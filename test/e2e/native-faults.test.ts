import { readFileSync } from 'node:fs';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { flood } from '../../bench/lib/udpgen.ts';
import { eventually, PLAIN, startMesh, USER_SPACE, type WeftHost } from './mesh.ts';

interface Link {
  readonly ifname: string;
}

/** Whether one echo of `bytes` comes back within a second. */
async function reaches(from: LabNamespace, address: string, bytes = 56): Promise<boolean> {
  const args = ['-c', '1', '-W', '1', '-s', String(bytes), address];
  return (await from.tryRun('ping', args)).status === 0;
}

async function sendFailures(host: WeftHost): Promise<number> {
  return (await host.status()).dataPlane.drops['underlay_send_failed'] ?? 0;
}

/** Two hosts with a container each, 10.7.0.2 and 10.7.0.3. */
async function pair(
  t: Parameters<typeof startMesh>[0],
  area: string,
  flags: readonly string[] = [],
) {
  const mesh = await startMesh(t, area, ['a', 'b'], 'native', flags);
  const [a, b] = mesh.hosts as [WeftHost, WeftHost];
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', ...PLAIN);
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await eventually(() => reaches(web, '10.7.0.3'), 20_000);
  return { a, b, web, db, mesh };
}

test('the underlay goes down, comes up, and has its MTU lowered: networks follow it', async (t) => {
  const { a, web, db } = await pair(t, 'nfu');
  const { namespace, ifname } = a.host;
  await namespace.ip(`link set ${ifname} down`);
  t.false(await reaches(web, '10.7.0.3'));
  t.true((await sendFailures(a)) > 0);
  await namespace.ip(`link set ${ifname} up`);
  await eventually(() => reaches(web, '10.7.0.3'), 20_000);

  await namespace.ip(`link set ${ifname} mtu 1300`);
  const before = await sendFailures(a);
  await reaches(web, '10.7.0.3', 1400);
  t.true((await sendFailures(a)) > before);
  t.true(await reaches(web, '10.7.0.3', 1000));
  // Segments that do not fit, and a last one that does: they are cut anew.
  t.true((await web.transferTo(db, { address: '10.7.0.3', bytes: 5000 })).isIntact);
  const mtu = async (): Promise<number | undefined> =>
    ((await web.ipJson('link show dev eth0')) as { mtu: number }[])[0]?.mtu;
  await eventually(async () => (await mtu()) === 1250, 20_000);
  await namespace.ip(`link set ${ifname} mtu 1500`);
  await eventually(async () => (await mtu()) === 1450, 60_000);
  t.true(await reaches(web, '10.7.0.3', 1400));
  t.true((await web.transferTo(db, { address: '10.7.0.3', bytes: 1_000_000 })).isIntact);
  t.is((await a.status()).dataPlane.features['segmentation'], 'UDP_SEGMENT toward every VTEP');
});

test('a TAP deleted under the daemon stops its network there, and nothing else', async (t) => {
  const { a, b } = await pair(t, 'nft');
  const taps = (await a.namespace.ipJson('link show type tun')) as Link[];
  t.is(taps.length, 1);
  await a.namespace.ip(`link del ${taps[0]?.ifname ?? ''}`);
  t.is((await a.status()).dataPlane.kind, 'native');
  t.is((await a.peers()).length, 2);
  t.is((await b.peers()).filter(({ state }) => state === 'alive').length, 2);
});

async function residentBytes(host: WeftHost): Promise<number> {
  const status = readFileSync(`/proc/${(await host.status()).pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

test('a flood beyond what can be forwarded: memory bounded, others alive, no collapse', async (t) => {
  const { a, b, web, db, mesh } = await pair(t, 'nff', USER_SPACE);
  const other = await mesh.container('other');
  await b.attach('blue', other, '10.7.0.4');
  await eventually(() => reaches(other, '10.7.0.2'), 20_000);
  const ends = { client: web, server: db, serverAddress: '10.7.0.3', mtu: 1450 };
  const before = await Promise.all([a, b].map(residentBytes));
  // As fast as the path takes them, and from two programs at once: twice what can be forwarded.
  const fitting = await flood(ends, { bytes: 64, seconds: 1 });
  const rival = web.run(process.execPath, [...['-e', FLOODER, '10.7.0.3', '9', '2500']]);
  const pings = other.ping('10.7.0.2', { count: 10, intervalSeconds: 0.1 });
  const beyond = await flood(ends, { bytes: 64, seconds: 1.5, flows: 4 });
  await rival;
  t.true((await pings).received >= 5, `${(await pings).received} of 10 echoes`);
  t.log(
    `${Math.round(fitting.receivedPerSecond)}/s, then ${Math.round(beyond.receivedPerSecond)}/s`,
  );
  t.true(beyond.receivedPerSecond > 0.25 * fitting.receivedPerSecond);
  const after = await Promise.all([a, b].map(residentBytes));
  after.forEach((bytes, index) => t.true(bytes - (before[index] ?? 0) < 64 * 2 ** 20));
  await eventually(() => reaches(web, '10.7.0.3'), 20_000);
});

/** Sends small datagrams to ADDRESS PORT without pause for so many milliseconds. */
const FLOODER = `
  const [address, port, ms] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp4');
  const end = Date.now() + Number(ms);
  const next = () => {
    if (Date.now() > end) return socket.close();
    for (let count = 0; count < 64; count++) socket.send('flood', Number(port), address);
    setImmediate(next);
  };
  next();`;

test('an underlay that drains slowly is back-pressure first, and then counted loss', async (t) => {
  const { a, web, db } = await pair(t, 'nfq', USER_SPACE);
  const { namespace, ifname } = a.host;
  // A queue longer than the socket's buffer: the socket fills, and says EAGAIN.
  await namespace.run('tc', [
    ...['qdisc', 'add', 'dev', ifname, 'root', 'tbf', 'rate', '20mbit'],
    ...['burst', '64kb', 'limit', '200mb'],
  ]);
  const ends = { client: web, server: db, serverAddress: '10.7.0.3', mtu: 1450 };
  const dropped = async (): Promise<number> =>
    (await a.status()).dataPlane.drops['underlay_queue_full'] ?? 0;
  await eventually(async () => {
    await flood(ends, { bytes: 1400, seconds: 0.5 });
    return (await dropped()) > 0;
  }, 20_000);
  await namespace.run('tc', ['qdisc', 'del', 'dev', ifname, 'root']);
  await eventually(() => reaches(web, '10.7.0.3'), 20_000);
  const settled = await dropped();
  t.true((await web.transferTo(db, { address: '10.7.0.3', bytes: 1_000_000 })).isIntact);
  t.is(await dropped(), settled);
});
