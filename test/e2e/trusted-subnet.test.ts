import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LinkEvent, NetworkDetail } from '../../src/api/control.ts';
import {
  blackHole,
  containers,
  joinAll,
  linkTo,
  LONG_MS,
  sealedNetwork,
  SequenceFlow,
  waitForPath,
} from './links.ts';
import { DATA_PLANES, eventually, makeHosts, type DataPlaneName, type WeftHost } from './mesh.ts';
import { sendDatagrams } from './raw.ts';

const TRUSTED = '192.0.2.0/24';
const AGREED = `both ends trust ${TRUSTED}`;

/** A container on each of two hosts, of which each trusts what `subnets` says, with datagrams from the first to the second. */
async function flowingPair(
  t: ExecutionContext,
  area: string,
  subnets: Readonly<Record<string, string | undefined>>,
  dataPlane: DataPlaneName = 'native',
  flags: readonly string[] = [],
) {
  const mesh = await makeHosts(t, area, ['a', 'b', 'thief'], dataPlane);
  const [a, b, thief] = mesh.hosts;
  if (!a || !b || !thief) throw new Error('three hosts were asked for');
  await joinAll([a, b], ({ name, host }) => {
    const subnet = subnets[name];
    const trust = subnet === undefined ? [] : ['--trusted-subnet', subnet];
    return ['--advertise', host.address, ...flags, ...trust];
  });
  await sealedNetwork([a, b]);
  const [web, db] = await containers(mesh, [a, b]);
  if (!web || !db) throw new Error('a container on each was asked for');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  await waitForPath(a, b, /^direct 192\.0\.2\.2:7783$/);
  return { a, b, thief, web, db };
}

const isPlain = async (host: WeftHost, peer: WeftHost): Promise<boolean> =>
  (await linkTo(host, peer)).trust?.isPlain === true;

/** Source and destination as they stand in an IPv4 header: what nobody sees of a sealed frame. */
const INNER = Buffer.of(10, 7, 0, 2, 10, 7, 0, 3);

/** Everything that crosses a host's underlay interface and matches, until `stop`. */
async function capture(host: WeftHost, name: string, filter: string) {
  const path = join(host.directory, `${name}.pcap`);
  const shark = host.namespace.start('tshark', [
    ...['-i', host.host.ifname, '-n', '-l', '-f', filter, '-w', path],
  ]);
  await shark.waitForLine(/Capture started/, LONG_MS);
  return {
    bytes: () => readFileSync(path),
    async stop() {
      shark.signal('SIGINT');
      await shark.exited;
      return readFileSync(path);
    },
  };
}

const dropsOf = async (host: WeftHost): Promise<Readonly<Record<string, number>>> =>
  (await host.status()).dataPlane.drops;

/** Of what was agreed on, nothing was refused: neither end sends before the other takes. */
async function noneRefused(...hosts: readonly WeftHost[]): Promise<void> {
  for (const host of hosts) {
    const { unsealed_not_agreed: elsewhere, unsealed_unknown: unknown } = await dropsOf(host);
    if (elsewhere !== 0 || unknown !== 0) {
      throw new Error(`${host.name} refused ${elsewhere} and ${unknown} plain frames`);
    }
  }
}

for (const dataPlane of DATA_PLANES) {
  test(`two hosts that trust each other's subnet send frames plain, and say so (${dataPlane})`, async (t) => {
    const subnets = { a: TRUSTED, b: TRUSTED };
    const { a, b, web } = await flowingPair(t, `trust${dataPlane}`, subnets, dataPlane);
    for (const [host, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      await eventually(() => isPlain(host, peer), LONG_MS);
      t.deepEqual((await linkTo(host, peer)).trust, { isPlain: true, why: AGREED });
      t.regex(
        await host.weft('links', peer.name),
        /frames +plain: both ends trust 192\.0\.2\.0\/24/,
      );
      const status = await host.status();
      t.deepEqual(status.trustedSubnets, [TRUSTED]);
      t.true(status.warnings.some((text) => text.includes(`go to ${peer.name} in the clear`)));
      t.is(status.links.peers[0]?.plain, AGREED);
      t.regex(
        await host.weft('metrics'),
        new RegExp(`^weft_link_plain{peer="${peer.name}"} 1$`, 'm'),
      );
    }
    const seen = await capture(a, 'plain', 'udp');
    await eventually(async () => {
      await web.answers('10.7.0.3');
      return seen.bytes().includes(INNER);
    }, LONG_MS);
    await seen.stop();
    await noneRefused(a, b);
  });
}

test('keys change under plain frames: each is sealed first, and none is lost', async (t) => {
  const { a, b, web, db } = await flowingPair(
    t,
    'trustkeys',
    { a: TRUSTED, b: TRUSTED },
    'native',
    [...['--link-rekey-seconds', '10']],
  );
  await eventually(() => isPlain(a, b), LONG_MS);
  const flow = await SequenceFlow.start(web, db, '10.7.0.3');
  const handshake = async (): Promise<string> => (await linkTo(a, b)).lastHandshake ?? '';
  for (let change = 0; change < 2; change++) {
    const before = await handshake();
    await eventually(async () => (await handshake()) !== before, LONG_MS);
    await eventually(() => isPlain(a, b), LONG_MS);
  }
  await flow.goesOn();
  t.is(flow.now.lost, 0);
  await noneRefused(a, b);
});

test('where one host does not list the other, frames are sealed, and both say why', async (t) => {
  const { a, b, web, db } = await flowingPair(t, 'trustone', { a: TRUSTED, b: '10.0.0.0/8' });
  const seen = await capture(a, 'one', 'udp');
  const flow = await SequenceFlow.start(web, db, '10.7.0.3');
  await eventually(
    async () => (await linkTo(a, b)).trust?.why === 'b does not trust 192.0.2.1',
    LONG_MS,
  );
  t.deepEqual((await linkTo(b, a)).trust, {
    isPlain: false,
    why: 'this host does not trust 192.0.2.1',
  });
  await flow.goesOn();
  t.false((await seen.stop()).includes(INNER));
  t.regex(await a.weft('links', 'b'), /frames +sealed: b does not trust 192\.0\.2\.1/);
  t.false((await a.status()).warnings.some((text) => text.includes('in the clear')));
});

test('a path switch to an address that is not trusted seals at once: not one frame is plain on it', async (t) => {
  const { a, b, web, db } = await flowingPair(t, 'trustpath', { a: TRUSTED, b: TRUSTED });
  await eventually(() => isPlain(a, b), LONG_MS);
  const flow = await SequenceFlow.start(web, db, '10.7.0.3');
  const seen = await capture(a, 'six', 'ip6 and udp');
  const hole = await blackHole(b.namespace, 'iifname u0 ip protocol udp');
  await waitForPath(a, b, /^direct \[2001:db8::2\]:7783$/);
  await flow.goesOn();
  const { trust } = await linkTo(a, b);
  t.deepEqual(trust, { isPlain: false, why: 'this host does not trust 2001:db8::2' });
  await hole.undo();
  await waitForPath(a, b, /^direct 192\.0\.2\.2:7783$/);
  await eventually(() => isPlain(a, b), LONG_MS);
  await flow.goesOn();
  const bytes = await seen.stop();
  // Sealed frames of the flow were seen there: the capture is of the right way.
  t.true(bytes.length > 10_000, `${bytes.length} bytes were seen`);
  t.false(bytes.includes(INNER));
  const texts = (await a.json<LinkEvent[]>('events')).map(({ text }) => text);
  t.true(texts.some((text) => text.includes('-> direct [2001:db8::2]:7783')));
});

test('a plain frame for a sealed network from who is not trusted is dropped by name, whatever it knows', async (t) => {
  const { a, b, thief, web, db } = await flowingPair(t, 'trustthief', { a: TRUSTED, b: TRUSTED });
  await eventually(() => isPlain(a, b), LONG_MS);
  const { vni } = await a.json<NetworkDetail>('network', 'inspect', 'blue');
  const seen = await capture(a, 'index', 'udp dst port 7783');
  await eventually(async () => {
    await web.answers('10.7.0.3');
    return seen.bytes().includes(INNER);
  }, LONG_MS);
  // Somebody on the way has read the index of b's key, and sits in the trusted subnet himself.
  const bytes = await seen.stop();
  const innerAt = bytes.indexOf(INNER);
  const headers = [0x22, 0x23].map((kind) =>
    bytes.lastIndexOf(Buffer.of(kind, vni >> 16, (vni >> 8) & 0xff, vni & 0xff), innerAt),
  );
  const headerAt = Math.max(...headers);
  t.true(headerAt >= 0);
  const recorded = bytes.subarray(headerAt, innerAt + 64).toString('hex');
  const guessed = recorded.slice(0, 8) + 'fffffff0' + recorded.slice(16);
  const before = await dropsOf(b);
  await sendDatagrams(thief.namespace, { address: b.host.address, port: 7783 }, [
    ...Array.from({ length: 5 }, () => recorded),
    ...Array.from({ length: 3 }, () => guessed),
  ]);
  const since = async (name: string): Promise<number> =>
    ((await dropsOf(b))[name] ?? 0) - (before[name] ?? 0);
  await eventually(async () => (await since('unsealed_unknown')) === 3, LONG_MS);
  t.is(await since('unsealed_not_agreed'), 5);
  t.regex(
    await b.weft('status'),
    /unsealed_not_agreed +5 +unsealed, from where it was not agreed on/,
  );
  t.true(await db.answers('10.7.0.2'));
});
