import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { NetworkDetail } from '../../src/api/control.ts';
import { DATA_PLANES, eventually, timed, waitForPeers, type WeftHost } from './mesh.ts';
import { routedUnderlay, type RoutedUnderlay } from './routed-underlay.ts';

/** Other users of the machine stretch what takes milliseconds. */
const LONG_MS = 60_000;
/** From a narrower underlay to a network that fits it, on a machine of its own. */
const FOUND_WITHIN_MS = 5000;

const OVERHEAD = { vxlan: 50, sealed: 74 } as const;
type Encap = keyof typeof OVERHEAD;

interface Flow extends RoutedUnderlay {
  readonly web: LabNamespace;
  readonly db: LabNamespace;
}

const detail = (host: WeftHost): Promise<NetworkDetail> =>
  host.json<NetworkDetail>('network', 'inspect', 'blue');

const mtuOf = async (host: WeftHost): Promise<number> => {
  const { mtu, mtuLimit } = await detail(host);
  return mtuLimit?.mtu ?? mtu;
};

async function deviceMtu(namespace: LabNamespace, device = 'eth0'): Promise<number | undefined> {
  const links = (await namespace.ipJson(`link show dev ${device}`)) as { mtu: number }[];
  return links[0]?.mtu;
}

async function received({ db }: Flow): Promise<number> {
  const links = (await db.ipJson('-s link show dev eth0')) as {
    stats64: { rx: { bytes: number } };
  }[];
  return links[0]?.stats64.rx.bytes ?? 0;
}

async function meshOf(underlay: RoutedUnderlay, ...create: readonly string[]): Promise<Flow> {
  const { a, b, mesh } = underlay;
  await a.up();
  await b.up();
  await b.weft('join', a.host.address, '--token', (await a.weft('token')).trim());
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', ...create);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    LONG_MS,
  );
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  return { ...underlay, web, db };
}

/** Bytes that flow from web to db until the test ends. */
async function startFlow({ web, db }: Flow): Promise<void> {
  const listener = db.start('iperf3', ['-s', '-1', '--forceflush']);
  await listener.waitForLine(/Server listening/);
  web.start('iperf3', ['-c', '10.7.0.3', '-t', '600', '-b', '50M', '--forceflush']);
}

const isFlowing = async (flow: Flow): Promise<boolean> => {
  const before = await received(flow);
  await eventually(async () => (await received(flow)) > before + 1_000_000, LONG_MS);
  return true;
};

for (const encap of ['sealed', 'vxlan'] as const satisfies readonly Encap[]) {
  for (const icmp of [true, false]) {
    test(`${encap}, routers ${icmp ? 'tell' : 'silent'}: the underlay narrows from 1500 to 1400, 1280 and 600 under a TCP flow`, async (t) => {
      const area = `pm${encap.slice(0, 1)}${icmp ? 'i' : 'n'}`;
      const flow = await meshOf(await routedUnderlay(t, area), '--encap', encap);
      const { a, b, web, db, narrow, silence } = flow;
      if (!icmp) await silence();
      await startFlow(flow);
      await isFlowing(flow);
      t.is(await mtuOf(a), 1500 - OVERHEAD[encap]);
      for (const underlay of [1400, 1280, 600]) {
        const wanted = underlay - OVERHEAD[encap];
        await narrow(underlay);
        const found = await timed(
          () => eventually(async () => (await mtuOf(a)) <= wanted, LONG_MS),
          FOUND_WITHIN_MS,
        );
        t.log(`${underlay}: ${found.text}`);
        t.true(found.ms <= found.allowedMs, found.text);
        // The flow itself: what waits is sent again in smaller pieces.
        await isFlowing(flow);
        for (const host of [a, b]) {
          await eventually(async () => (await mtuOf(host)) === wanted, LONG_MS);
        }
        for (const end of [web, db]) {
          await eventually(async () => (await deviceMtu(end)) === wanted, LONG_MS);
        }
      }
      const { pathMtu, warnings } = await a.status();
      t.like(pathMtu.paths, [{ peer: 'b', mtu: 600 }]);
      t.true((pathMtu.counters['mtuBlackHoles'] ?? 0) >= 1);
      t.true(warnings.some((text) => /^Network blue has an MTU of \d+ instead of/.test(text)));
    });
  }
}

test('a path that grows is used whole again, a jumbo underlay from the start', async (t) => {
  const flow = await meshOf(await routedUnderlay(t, 'pmup', { mtu: 9000 }), '--encap', 'vxlan');
  const { a, b, web, narrow } = flow;
  t.is(await mtuOf(a), 9000 - OVERHEAD.vxlan);
  await startFlow(flow);
  await isFlowing(flow);
  await narrow(1500);
  await eventually(async () => (await mtuOf(b)) === 1500 - OVERHEAD.vxlan, LONG_MS);
  await isFlowing(flow);
  await narrow(9000);
  await eventually(async () => (await mtuOf(b)) === 9000 - OVERHEAD.vxlan, LONG_MS);
  await eventually(async () => (await deviceMtu(web)) === 9000 - OVERHEAD.vxlan, LONG_MS);
  t.is((await detail(a)).mtuLimit, undefined);
  t.deepEqual(
    (await a.status()).warnings.filter((text) => /MTU/.test(text)),
    [],
  );
});

test('a daemon that was killed has the lower MTU when it is back', async (t) => {
  const flow = await meshOf(await routedUnderlay(t, 'pmk'), '--encap', 'vxlan');
  const { a, web, narrow } = flow;
  await startFlow(flow);
  await narrow(1400);
  await eventually(async () => (await deviceMtu(web)) === 1350, LONG_MS);
  await a.kill();
  await web.ip('link set eth0 mtu 1450');
  await a.up();
  t.is(await deviceMtu(web), 1350);
  t.like((await detail(a)).mtuLimit, { mtu: 1350, pathMtu: 1400 });
});

test('105_frag: the underlay drops UDP above 700 bytes: the second large ping passes', async (t) => {
  const underlay = await routedUnderlay(t, 'pm105');
  const flow = await meshOf(underlay, '--encap', 'vxlan');
  const { a, web } = flow;
  for (const { namespace } of [underlay.a, underlay.b]) {
    const rules = [
      'add table inet lossy',
      'add chain inet lossy arrive { type filter hook input priority 0; }',
      'add rule inet lossy arrive meta l4proto udp meta length > 700 drop',
    ].join('; ');
    await namespace.run('/usr/sbin/nft', [rules]);
  }
  // Large packets in one direction are enough for the path to be looked after.
  await web.tryRun('ping', ['-c', '1', '-W', '2', '-s', '10000', '10.7.0.3']);
  await eventually(async () => {
    await web.tryRun('ping', ['-c', '1', '-W', '1', '-s', '1400', '10.7.0.3']);
    return (await mtuOf(a)) === 700 - OVERHEAD.vxlan;
  }, LONG_MS);
  await eventually(async () => (await deviceMtu(web)) === 700 - OVERHEAD.vxlan, LONG_MS);
  t.is((await web.tryRun('ping', ['-c', '1', '-s', '10000', '10.7.0.3'])).status, 0);
});

/** MTU that the kernel has been told for a destination; undefined: that of the interface. */
async function learnedMtu(namespace: LabNamespace, to: string): Promise<number | undefined> {
  const routes = (await namespace.ipJson(`route get ${to}`)) as {
    metrics?: { mtu?: number }[];
  }[];
  return routes[0]?.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu;
}

for (const dataPlane of DATA_PLANES) {
  test(`${dataPlane}: a container with a larger MTU of its own is told, over IPv4 and IPv6`, async (t) => {
    const flow = await meshOf(
      await routedUnderlay(t, `pmc${dataPlane.slice(0, 1)}`, { dataPlane }),
      ...['--encap', 'vxlan', '--subnet6', 'fd00:7::/64'],
    );
    const { a, web, db } = flow;
    for (const end of [web, db]) await end.ip('link set eth0 mtu 9000');
    for (const [to, headers] of [
      ['10.7.0.3', 28],
      [(await ipv6Of(db)) ?? '', 48],
    ] as const) {
      await eventually(() => web.answers(to), LONG_MS);
      const sized = ['-c', '1', '-W', '2', '-M', 'do', '-s'];
      // The first is refused by the data plane, the next by the container's own kernel.
      await eventually(async () => {
        await web.tryRun('ping', [...sized, String(3000 - headers), to]);
        return (await learnedMtu(web, to)) === 1450;
      }, LONG_MS);
      const next = await web.tryRun('ping', [...sized, String(3000 - headers), to]);
      t.regex(next.stdout + next.stderr, /[Mm]essage too long|mtu = ?1450|mtu=1450/);
      t.is((await web.tryRun('ping', [...sized, String(1450 - headers), to])).status, 0);
      const sent = await web.transferTo(db, { address: to, bytes: 3_000_000 });
      t.true(sent.isIntact);
    }
    t.true((await a.status()).dataPlane.answered.tooBig >= 2);
  });
}

for (const dataPlane of DATA_PLANES) {
  test(`${dataPlane}: containers with a larger MTU that hear no ICMP speak TCP, over IPv4 and IPv6`, async (t) => {
    const { a, web, db } = await meshOf(
      await routedUnderlay(t, `pms${dataPlane.slice(0, 1)}`, { dataPlane }),
      ...['--encap', 'vxlan', '--subnet6', 'fd00:7::/64'],
    );
    for (const end of [web, db]) {
      await end.ip('link set eth0 mtu 9000');
      await end.run('/usr/sbin/nft', [
        [
          'add table inet deaf',
          'add chain inet deaf in { type filter hook input priority 0; }',
          'add rule inet deaf in icmp type destination-unreachable drop',
          'add rule inet deaf in icmpv6 type packet-too-big drop',
        ].join('; '),
      ]);
    }
    for (const to of ['10.7.0.3', (await ipv6Of(db)) ?? '']) {
      await eventually(() => web.answers(to), LONG_MS);
      const sent = await web.transferTo(db, { address: to, bytes: 3_000_000 });
      t.true(sent.isIntact, to);
      t.is(await learnedMtu(web, to), undefined, to);
    }
    const { drops, answered } = (await a.status()).dataPlane;
    t.deepEqual([drops['port_frame_long'], answered.tooBig], [0, 0], 'nothing was too long');
  });
}

async function ipv6Of(namespace: LabNamespace): Promise<string | undefined> {
  const links = (await namespace.ipJson('address show dev eth0')) as {
    addr_info: { family: string; scope: string; local: string }[];
  }[];
  return links[0]?.addr_info.find(({ family, scope }) => family === 'inet6' && scope === 'global')
    ?.local;
}

test('segments between a network and what is outside fit the narrower of both', async (t) => {
  const underlay = await routedUnderlay(t, 'pmss');
  const flow = await meshOf(underlay, '--encap', 'vxlan', '--routed');
  const { a, web, mesh } = flow;
  const outside = await mesh.container('outside');
  await mesh.lab.link([a.namespace, 'inet0'], [outside, 'h0'], { mtu: 1300 });
  await a.namespace.ip('addr add 203.0.113.1/24 dev inet0');
  await outside.ip('addr add 203.0.113.2/24 dev h0');
  // It takes what its own side takes, and hears of nothing narrower.
  await outside.ip('link set h0 mtu 1500');
  const server = outside.start('iperf3', ['-s', '-1', '--forceflush']);
  await server.waitForLine(/Server listening/);
  const text = await web.run('iperf3', ['-c', '203.0.113.2', '-t', '1', '-J'], {
    timeoutMs: LONG_MS,
  });
  const { start } = JSON.parse(text) as { start: { tcp_mss_default: number } };
  t.is(start.tcp_mss_default, 1300 - 40 - 12);
});
