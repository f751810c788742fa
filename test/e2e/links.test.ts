import test, { type ExecutionContext } from 'ava';
import type { LinkEvent } from '../../src/api/control.ts';
import {
  blackHole,
  containers,
  cutPairs,
  joinAll,
  linkTo,
  LONG_MS,
  sealedNetwork,
  SequenceFlow,
  waitForPath,
} from './links.ts';
import { eventually, makeHosts, timed } from './mesh.ts';

/** Hosts with a container each, of which the first's sends counted datagrams to the second's, by its announced address. */
async function flowingPair(t: ExecutionContext, area: string, names: readonly string[]) {
  const mesh = await makeHosts(t, area, names);
  const { hosts } = mesh;
  const [a, b] = hosts;
  if (!a || !b) throw new Error('two hosts and more were asked for');
  await joinAll(hosts, ({ host }) => ['--advertise', host.address]);
  await sealedNetwork(hosts);
  const [web, db] = await containers(mesh);
  if (!web || !db) throw new Error('a container on each was asked for');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  await waitForPath(a, b, /^direct 192\.0\.2\.2:7783$/);
  await eventually(async () => /answers/.test((await linkTo(a, b)).why), LONG_MS);
  const flow = await SequenceFlow.start(web, db, '10.7.0.3');
  await flow.goesOn();
  return { hosts, a, b, flow };
}

test('a path that dies is left within a second, and taken again within ten; weft links says why', async (t) => {
  const { a, b, flow } = await flowingPair(t, 'path', ['a', 'b']);
  const before = flow.now;
  t.is(before.lost, 0);

  const hole = await blackHole(b.namespace, 'iifname u0 ip protocol udp');
  const left = await timed(() => waitForPath(a, b, /^direct \[2001:db8::2\]:7783$/), 1_000);
  await flow.goesOn();
  t.log(`left after ${left.text}; the longest gap was ${flow.now.worst} ms`);
  t.true(
    flow.now.worst <= Math.max(1_000, left.allowedMs),
    `${flow.now.worst} ms without a datagram`,
  );
  const link = await linkTo(a, b);
  t.regex(link.why, /^3 probes lost$/);
  t.true(link.flaps >= 1);
  t.deepEqual(
    link.paths.map(({ path, isUsed, state }) => [path, isUsed, state]),
    [
      ['direct 192.0.2.2:7783', false, 'down'],
      ['direct [2001:db8::2]:7783', true, 'up'],
    ],
  );

  await hole.undo();
  const { lost } = flow.now;
  const back = await timed(() => waitForPath(a, b, /^direct 192\.0\.2\.2:7783$/), 10_000);
  await flow.goesOn();
  t.log(`back after ${back.text}`);
  t.true(back.ms <= back.allowedMs, back.text);
  t.is(flow.now.lost, lost, 'a change by choice loses nothing');

  const events = await a.json<LinkEvent[]>('events');
  const texts = events.filter(({ kind }) => kind === 'path').map(({ text }) => text);
  const failover = 'path to b: direct 192.0.2.2:7783 -> direct [2001:db8::2]:7783: 3 probes lost';
  t.true(texts.includes(failover), texts.join('\n'));
  t.regex(
    texts.at(-1) ?? '',
    /-> direct 192\.0\.2\.2:7783: (the announced address answers|[\d.]+ ms against)/,
  );
  t.regex(a.daemon?.output ?? '', /3 probes lost/, 'the log says it too');
  t.regex(await a.weft('metrics'), /^weft_link_path_changes_total\{peer="b"\} [2-9]$/m);
});

test('a relay that dies under traffic is replaced within two seconds, as weft links and weft events say', async (t) => {
  const { hosts, a, b, flow } = await flowingPair(t, 'relays', ['a', 'b', 'c', 'd']);
  await cutPairs(hosts, (one, other) => one + other !== 1);
  await waitForPath(a, b, /^relay [cd]$/);
  // Both ways round are known to answer: the other relay is there when it is needed.
  await eventually(async () => {
    const { paths } = await linkTo(a, b);
    return paths.filter(({ path, state }) => path.startsWith('relay') && state === 'up').length > 1;
  }, LONG_MS);
  await flow.goesOn();
  const first = (await linkTo(a, b)).path;
  const back = (await linkTo(b, a)).path;
  const relay = hosts.find(({ name }) => first === `relay ${name}`);
  const other = hosts.find(({ name }) => /^[cd]$/.test(name) && first !== `relay ${name}`);
  if (!relay || !other) throw new Error(`there is no relay in ${first}`);

  const before = flow.now.worst;
  const left = await timed(async () => {
    await relay.kill();
    await waitForPath(a, b, new RegExp(`^relay ${other.name}$`));
  }, 2_000);
  await flow.goesOn();
  t.log(
    `by the other relay after ${left.text}; the longest gap was ${flow.now.worst} ms (${before} before)`,
  );
  t.true(left.ms <= left.allowedMs, left.text);
  t.true(
    flow.now.worst <= Math.max(2_000, left.allowedMs),
    `${flow.now.worst} ms without a datagram`,
  );
  if (back === first) await waitForPath(b, a, new RegExp(`^relay ${other.name}$`));
  const link = await linkTo(a, b);
  t.is(link.kind, 'relay');
  t.regex(link.why, /^(\d+ probes lost|the relay is no longer one)$/);
  const events = (await a.json<LinkEvent[]>('events')).map(({ text }) => text);
  const change = `path to b: ${first} -> relay ${other.name}: ${link.why}`;
  t.true(events.includes(change), events.join('\n'));
});

test('where two hosts lose each other a third relays within two seconds, and they come back within ten', async (t) => {
  const { hosts, a, b, flow } = await flowingPair(t, 'relay', ['a', 'b', 'c']);

  await cutPairs(hosts, (one, other) => one + other !== 1);
  const left = await timed(() => waitForPath(a, b, /^relay c$/), 2_000);
  await flow.goesOn();
  t.log(`by the relay after ${left.text}; the longest gap was ${flow.now.worst} ms`);
  t.true(
    flow.now.worst <= Math.max(2_000, left.allowedMs),
    `${flow.now.worst} ms without a datagram`,
  );
  const { lost } = flow.now;
  await cutPairs(hosts, () => true);
  const back = await timed(() => waitForPath(a, b, /^direct /), 10_000);
  await flow.goesOn();
  t.log(`direct again after ${back.text}`);
  t.true(back.ms <= back.allowedMs, back.text);
  t.is(flow.now.lost, lost, 'a change by choice loses nothing');
  const events = (await a.json<LinkEvent[]>('events')).map(({ text }) => text);
  t.true(
    events.some((text) => /relay c -> direct \S+: a direct path answers$/.test(text)),
    events.join('\n'),
  );
});
