import test from 'ava';
import type { LinkEvent } from '../../src/api/control.ts';
import {
  containers,
  cutPairs,
  joinAll,
  linkTo,
  LONG_MS,
  sealedNetwork,
  SequenceFlow,
  waitForPath,
} from './links.ts';
import { eventually, makeHosts, timed, waitForPeers, type WeftHost } from './mesh.ts';

test('a line of five: ping, TCP and broadcast from end to end; a cut is reported, another link mends it', async (t) => {
  const mesh = await makeHosts(t, 'line', ['a', 'b', 'c', 'd', 'e']);
  const { hosts } = mesh;
  const [a, b, c, d, e] = hosts;
  if (!a || !b || !c || !d || !e) throw new Error('five hosts were asked for');
  const isNear = (one: number, other: number): boolean => Math.abs(one - other) === 1;
  await cutPairs(hosts, isNear);
  await joinAll(
    hosts,
    ({ host }) => ['--advertise', host.address],
    (index) => hosts[index - 1],
  );
  await sealedNetwork(hosts);
  const made = await containers(mesh);
  const [web, , , , db] = made;
  if (!web || !db) throw new Error('five containers were asked for');
  await eventually(() => web.answers('10.7.0.6'), LONG_MS);
  await waitForPath(a, e, /^relay b$/);
  const link = await linkTo(a, e);
  t.is(link.kind, 'relay');
  t.true(
    link.paths.some(({ path, state }) => path === 'direct 192.0.2.5:7783' && state === 'down'),
  );

  const there = await web.transferTo(db, { address: '10.7.0.6', bytes: 2_000_000 });
  const back = await db.transferTo(web, { address: '10.7.0.2', bytes: 2_000_000, seed: 2 });
  t.true(there.isIntact && back.isIntact);

  // Each container answers a broadcast, once.
  for (const container of made) {
    await container.run('sysctl', ['-qw', 'net.ipv4.icmp_echo_ignore_broadcasts=0']);
  }
  const shout = await web.tryRun('ping', ['-b', '-n', '-c', '3', '-i', '1', '10.7.0.255']);
  // ping ends with the first answer to its last question; to the first one all have answered by then.
  const answered = [...shout.stdout.matchAll(/bytes from (10\.7\.0\.\d+): icmp_seq=1 /g)];
  t.deepEqual(
    answered.map(([, from]) => from).sort(),
    ['10.7.0.2', '10.7.0.3', '10.7.0.4', '10.7.0.5', '10.7.0.6'],
    shout.stdout,
  );

  for (const host of hosts) await waitForPeers(host, 5);
  const flow = await SequenceFlow.start(web, db, '10.7.0.6', 20);
  await flow.goesOn();
  const isApart = (one: number, other: number): boolean =>
    isNear(one, other) && one !== 2 && other !== 2;
  const isJoined = (one: number, other: number): boolean =>
    isApart(one, other) || one * other === 3;

  // Mended as soon as the cut is reported, and after the two sides have given each other up.
  const isReported = async (): Promise<boolean> => /no path answers/.test((await linkTo(a, e)).why);
  const isDead = async (one: WeftHost, other: WeftHost): Promise<boolean> =>
    (await one.peers()).some(({ name, state }) => name === other.name && state === 'dead');
  const isGivenUp = async (): Promise<boolean> => {
    const sides = [a, b].flatMap((one) => [d, e].map((other) => [one, other] as const));
    const all = sides.flatMap(([one, other]) => [isDead(one, other), isDead(other, one)]);
    return (await Promise.all(all)).every(Boolean);
  };
  for (const isTime of [isReported, isGivenUp, isGivenUp]) {
    await cutPairs(hosts, isApart);
    await eventually(isTime, LONG_MS);
    const before = await flow.standsStill();
    await cutPairs(hosts, isJoined);
    const mended = await timed(
      () => eventually(() => Promise.resolve(flow.now.at > before), LONG_MS),
      2_000,
    );
    t.log(`mended after ${mended.text}`);
    t.true(mended.ms <= mended.allowedMs, mended.text);
    await flow.goesOn();
  }
  const events = (await a.json<LinkEvent[]>('events')).map(({ text }) => text);
  t.true(events.includes('no address of e answers'));
  t.true(
    events.some((text) => /^path to e: direct \S+ -> relay b: /.test(text)),
    events.join('\n'),
  );
});
