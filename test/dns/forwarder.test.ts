import packet from 'dns-packet';
import test from 'ava';
import { seededRng } from '../../src/base/rng.ts';
import { formatSocketAddress, type SocketAddress } from '../../src/base/types.ts';
import { zeroCounts } from '../../src/dns/counters.ts';
import { Forwarder, MAX_OUTSTANDING } from '../../src/dns/forwarder.ts';
import { encodeReply, parseQuery, RCODE, withId } from '../../src/dns/packet.ts';
import { parseNameservers } from '../../src/dns/resolv-conf.ts';
import type { DnsSockets } from '../../src/dns/sockets.ts';
import { frameMessage, MessageReader } from '../../src/dns/tcp-message.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const FIRST = { address: '192.0.2.1', port: 53 };
const SECOND = { address: '192.0.2.2', port: 53 };
const message = packet.encode({
  ...{ type: 'query', id: 77, questions: [{ type: 'A', name: 'example.com', class: 'IN' }] },
});
const parsed = parseQuery(message);
if (parsed.kind !== 'query') throw new Error('that was a query');
const { query } = parsed;

/** Servers by address: each answers, is silent until it is given up, or refuses at once. */
function world(servers: Readonly<Record<string, 'answers' | 'silent' | 'refuses'>>) {
  const clock = new ManualClock();
  const asked: { at: string; id: number }[] = [];
  const counts = zeroCounts();
  const ask: DnsSockets['ask'] = (server, bytes, transport, isAnswer, signal) =>
    new Promise((resolve) => {
      const id = bytes.readUInt16BE(0);
      asked.push({ at: server.address, id });
      signal.addEventListener('abort', () => resolve(undefined));
      const behaviour = servers[server.address];
      const answer = withId(encodeReply(query, { rcode: RCODE.nameError }, transport), id);
      if (behaviour === 'refuses') resolve(undefined);
      if (behaviour === 'answers' && isAnswer(answer)) resolve(answer);
    });
  const upstreams: SocketAddress[] = Object.keys(servers).map((address) => ({ address, port: 53 }));
  const ours = new Set<string>();
  const forwarder = new Forwarder({
    ...{ sockets: { ask }, clock, rng: seededRng(5), counts, upstreams: () => upstreams },
    isOurs: (server) => ours.has(formatSocketAddress(server)),
  });
  return { clock, asked, counts, ours, forward: () => forwarder.forward(query, message, 'udp') };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("an answer comes back under the asker's id, which nobody else has seen", async (t) => {
  const { forward, asked, counts } = world({ [FIRST.address]: 'answers' });
  const [one, other] = [await forward(), await forward()];
  t.is(one?.readUInt16BE(0), 77);
  t.is(other?.readUInt16BE(0), 77);
  t.is(new Set(asked.map(({ id }) => id)).size, 2);
  t.is(counts.forwarded, 2);
});

test('a server that refuses or is silent is followed by the next', async (t) => {
  const refusing = world({ [FIRST.address]: 'refuses', [SECOND.address]: 'answers' });
  t.not(await refusing.forward(), undefined);

  const silent = world({ [FIRST.address]: 'silent', [SECOND.address]: 'answers' });
  const answer = silent.forward();
  await turn();
  t.deepEqual(silent.asked.length, 1);
  silent.clock.advance(2000);
  t.not(await answer, undefined);
  t.deepEqual(
    silent.asked.map(({ at }) => at),
    [FIRST.address, SECOND.address],
  );
});

test('an asker is told within 4 s that nobody answers', async (t) => {
  const { forward, clock, counts, asked } = world({
    ...{ [FIRST.address]: 'silent', [SECOND.address]: 'silent', '192.0.2.3': 'answers' },
  });
  const answer = forward();
  clock.advance(2000);
  await turn();
  clock.advance(2000);
  t.is(await answer, undefined);
  t.is(counts.forwardFailed, 1);
  t.is(asked.length, 2);
  t.is(await world({}).forward(), undefined, 'no server at all');
});

test('a server that is ourselves is never asked', async (t) => {
  const { forward, ours, asked, counts } = world({ [FIRST.address]: 'answers' });
  ours.add('192.0.2.1:53');
  t.is(await forward(), undefined);
  t.deepEqual(asked, []);
  t.is(counts.forwardLoop, 1);
});

test('no more questions than allowed are outstanding', async (t) => {
  const { forward, clock, counts } = world({ [FIRST.address]: 'silent' });
  const waiting = Array.from({ length: MAX_OUTSTANDING }, forward);
  t.is(await forward(), undefined);
  t.is(counts.forwardOverflow, 1);
  clock.advance(2000);
  await Promise.all(waiting);
  const later = forward();
  clock.advance(2000);
  await later;
  t.is(counts.forwardOverflow, 1);
});

test('the name servers of a resolv.conf are its first three', (t) => {
  const text = `# comment\nsearch example.com\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver none
nameserver 192.0.2.2\nnameserver 192.0.2.3\noptions ndots:1\n`;
  t.deepEqual(
    parseNameservers(text).map(({ address, port }) => `${address} ${port}`),
    ['192.0.2.1 53', '2001:db8::1 53', '192.0.2.2 53'],
  );
  t.deepEqual(parseNameservers(''), []);
});

test('messages over TCP come whole however they are cut', (t) => {
  const messages = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(65_535, 7)];
  const bytes = Buffer.concat(messages.map(frameMessage));
  for (const step of [1, 2, 3, 1000, bytes.length]) {
    const reader = new MessageReader();
    const read: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += step) {
      reader.add(bytes.subarray(at, at + step));
      for (let next = reader.next(); next !== undefined; next = reader.next()) read.push(next);
    }
    t.deepEqual(read, messages, `by ${step}`);
    if (step === 1) t.is(reader.next(), undefined);
  }
});
