import test, { type ExecutionContext } from 'ava';
import { randomInt, seededRng } from '../../src/base/rng.ts';
import { asMillis } from '../../src/base/types.ts';
import {
  decodeExchangeDatagram,
  encodeAcknowledgement,
  encodePiece,
  encodeRefusal,
  PIECE_BYTES,
  PIECE_KIND,
} from '../../src/underlay/piece.ts';
import { DatagramStreamTransport } from '../../src/underlay/stream-datagrams.ts';
import { MAX_STREAM_MESSAGE_BYTES } from '../../src/underlay/stream.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { DatagramWorld } from './datagram-world.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env['ROUNDS'] ?? 40);
const A = { address: '192.0.2.1', port: 7783 };
const B = { address: '192.0.2.2', port: 7783 };
const STRANGER = { address: '192.0.2.66', port: 1 };
const MINUTE = asMillis(60_000);

function pair(worldSeed = seed) {
  const clock = new ManualClock();
  const rng = seededRng(worldSeed);
  const world = new DatagramWorld(clock, rng);
  const asker = new DatagramStreamTransport(world.channel(A), { clock });
  const server = new DatagramStreamTransport(world.channel(B), { clock });
  return { clock, rng, world, asker, server };
}

function randomMessage(rng: { next(): number }, bytes: number): Buffer {
  const message = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at++) message[at] = randomInt(rng, 256);
  return message;
}

/** Moves the clock until the promise settles, and no longer. */
async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  const state = { isOver: false };
  const over = (): void => void (state.isOver = true);
  promise.then(over, over);
  for (let step = 0; step < 200_000; step++) {
    await Promise.resolve();
    await Promise.resolve();
    if (state.isOver) break;
    clock.advance(1);
  }
  return promise;
}

for (const [name, asked, answered] of [
  ['empty messages', 0, 0],
  ['messages of one piece', 3, PIECE_BYTES],
  ['messages that end with a piece', 2 * PIECE_BYTES, 40 * PIECE_BYTES],
  ['the longest messages', MAX_STREAM_MESSAGE_BYTES, MAX_STREAM_MESSAGE_BYTES],
] as const) {
  test(`${name} arrive as they were, and nothing is left of them`, async (t) => {
    const { clock, rng, asker, server } = pair();
    const request = randomMessage(rng, asked);
    const answer = randomMessage(rng, answered);
    let seen: Buffer | undefined;
    let sender = '';
    server.onRequest((bytes, from) => {
      seen = Buffer.from(bytes);
      sender = from.address;
      return answer;
    });
    const got = await settle(clock, asker.exchange(B, request, MINUTE));
    t.true(seen?.equals(request));
    t.is(sender, A.address);
    t.true(got.equals(answer));
    clock.advance(MINUTE);
    t.is(server.inbound, 0);
    t.is(clock.pendingTimers, 0);
    t.like(server.counters, { answered: 1, brokenOff: 0, malformed: 0, resent: 0 });
  });
}

test(`loss, duplicates and disorder cost time: each request is answered once (seed ${seed})`, async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const { clock, rng, world, asker, server } = pair(seed + round);
    world.weather = {
      loss: rng.next() * 0.3,
      duplication: rng.next() * 0.3,
      latency: [1, 1 + rng.next() * 200],
    };
    const request = randomMessage(rng, randomInt(rng, 40_000));
    const answer = randomMessage(rng, randomInt(rng, 40_000));
    let times = 0;
    server.onRequest((bytes) => {
      times++;
      return bytes.equals(request) ? answer : undefined;
    });
    const got = await settle(clock, asker.exchange(B, request, asMillis(10 * MINUTE)));
    t.true(got.equals(answer), `round ${round}`);
    clock.advance(MINUTE);
    t.is(times, 1, `round ${round}`);
    t.is(server.inbound, 0);
    t.is(clock.pendingTimers, 0);
  }
});

test('a tenth of all lost: 1 MiB takes no more than 20 s at 40 ms of round trip', async (t) => {
  const { clock, rng, world, asker, server } = pair();
  world.weather = { loss: 0.1, duplication: 0, latency: [20, 20] };
  server.onRequest(() => randomMessage(rng, MAX_STREAM_MESSAGE_BYTES));
  await settle(clock, asker.exchange(B, Buffer.from('all of it'), MINUTE));
  t.true(clock.now() < 20_000, `${clock.now()} ms`);
});

test('who does not answer, refuses, or is not there: one sentence each', async (t) => {
  const { clock, asker, server } = pair();
  const message = await failure(t, clock, asker.exchange(STRANGER, Buffer.from('?'), MINUTE));
  t.is(message, '192.0.2.66:1 did not answer within 60000 ms over UDP.');
  t.regex(
    await failure(t, clock, asker.exchange(B, Buffer.from('?'), MINUTE)),
    /^192\.0\.2\.2:7783 gave no answer: /,
  );
  t.like(server.counters, { unanswered: 1, answered: 0 });
  const long = Buffer.alloc(MAX_STREAM_MESSAGE_BYTES + 1);
  t.regex(
    await failure(t, clock, asker.exchange(B, long, MINUTE)),
    /1048577 bytes, where 1048576 are the most/,
  );
  const pending = asker.exchange(STRANGER, Buffer.from('?'), MINUTE);
  await asker.close();
  t.regex(await failure(t, clock, pending), /had not answered when Weft stopped/);
  t.regex(await failure(t, clock, asker.exchange(B, Buffer.from('?'), MINUTE)), /is stopping/);
  clock.advance(MINUTE);
  t.is(clock.pendingTimers, 0);
});

async function failure(
  t: ExecutionContext,
  clock: ManualClock,
  exchange: Promise<Buffer>,
): Promise<string> {
  const settled = settle(clock, exchange);
  const error = await t.throwsAsync(settled, { code: 'E_JOIN_UNREACHABLE' } as never);
  return error.message;
}

test('a refusal that got lost is said again', async (t) => {
  const { clock, world, asker } = pair();
  const refused = asker.exchange(B, Buffer.from('?'), MINUTE);
  world.weather.loss = 1;
  clock.advance(5);
  world.weather.loss = 0;
  t.regex(await failure(t, clock, refused), /gave no answer/);
  t.true(clock.now() < 1000);
});

test('a forged address draws little upon its owner', (t) => {
  const { clock, world, server } = pair();
  server.onRequest(() => Buffer.alloc(MAX_STREAM_MESSAGE_BYTES));
  const exchange = '00112233445566ff';
  world.send(encodePiece('request', exchange, Buffer.from('all of it'), 0), STRANGER, B);
  clock.advance(MINUTE);
  const drawn = world.log.filter(({ to }) => to === '192.0.2.66:1');
  const bytes = drawn.reduce((sum, datagram) => sum + datagram.bytes.length, 0);
  t.true(drawn.length <= 6, `${drawn.length} datagrams`);
  t.true(bytes < 3000, `${bytes} bytes`);
  t.like(server.counters, { brokenOff: 1, answered: 0 });
  t.is(server.inbound, 0);
});

test('at most 32 exchanges are held for others, and those that fall silent are dropped', (t) => {
  const { clock, world, server } = pair();
  const begin = (count: number): void => {
    for (let at = 0; at < count; at++) {
      const exchange = at.toString(16).padStart(16, '0');
      world.send(encodePiece('request', exchange, Buffer.alloc(5000), 0), STRANGER, B);
    }
    clock.advance(10);
  };
  begin(50);
  t.is(server.inbound, 32);
  t.is(server.counters.refusedBusy, 18);
  clock.advance(16_000);
  t.is(server.inbound, 0);
  t.is(server.counters.brokenOff, 32);
  t.is(clock.pendingTimers, 0);
});

test('pieces of two messages in one, and of one that is too long, are refused and counted', async (t) => {
  const { clock, world, asker, server } = pair();
  server.onRequest((bytes) => bytes);
  const exchange = '00000000000000aa';
  const [short, long] = [Buffer.alloc(2 * PIECE_BYTES), Buffer.alloc(MAX_STREAM_MESSAGE_BYTES + 1)];
  world.send(encodePiece('request', exchange, short, 0), STRANGER, B);
  world.send(encodePiece('request', exchange, Buffer.alloc(5000), 1), STRANGER, B);
  world.send(encodePiece('request', '00000000000000bb', long, 2340), STRANGER, B);
  const longer = Buffer.alloc(MAX_STREAM_MESSAGE_BYTES + PIECE_BYTES);
  world.send(encodePiece('request', '00000000000000cc', longer, 0), STRANGER, B);
  clock.advance(10);
  t.is(server.counters.malformed, 3);
  const echoed = await settle(clock, asker.exchange(B, Buffer.from('still here'), MINUTE));
  t.is(echoed.toString(), 'still here');
});

test(`bytes of any kind change nothing, and acknowledgements of what was never sent neither (seed ${seed})`, async (t) => {
  const { clock, rng, world, asker, server } = pair();
  server.onRequest((bytes) => bytes);
  const request = randomMessage(rng, 30_000);
  const exchange = settle(clock, asker.exchange(B, request, MINUTE));
  for (let round = 0; round < 2000; round++) {
    const bytes = randomMessage(rng, randomInt(rng, 40));
    if (bytes.length > 0) bytes[0] = 0x60 + randomInt(rng, 4);
    world.send(bytes, STRANGER, rng.next() < 0.5 ? A : B);
  }
  const piece = world.log.find(({ bytes }) => bytes[0] === PIECE_KIND.piece && bytes.length > 400);
  const id = piece?.bytes.toString('hex', 2, 10) ?? '';
  const later = 0xffff_ffff_ffff_ffffn;
  world.send(encodeAcknowledgement('request', id, { missing: 40, later }), STRANGER, A);
  clock.advance(5);
  world.send(encodeAcknowledgement('answer', id, { missing: 0xffff, later }), STRANGER, B);
  const outcome = await exchange.catch((error: unknown) => error);
  // Who can read and forge datagrams can stop an exchange, as he can stop a TCP connection; not change it.
  t.true(Buffer.isBuffer(outcome) ? outcome.equals(request) : outcome instanceof Error);
});

test('the three datagrams, byte by byte', (t) => {
  const exchange = '0102030405060708';
  const piece = encodePiece('answer', exchange, Buffer.alloc(PIECE_BYTES + 2, 0xee), 1);
  t.is(piece.toString('hex'), '6001010203040506070800010001eeee');
  t.deepEqual(decodeExchangeDatagram(piece), {
    ...{ kind: 'piece', side: 'answer', exchange, index: 1, last: 1 },
    bytes: Buffer.from('eeee', 'hex'),
  });
  const state = { missing: 3, later: 0x8000_0000_0000_0005n };
  const acknowledgement = encodeAcknowledgement('request', exchange, state);
  t.is(acknowledgement.toString('hex'), '6100010203040506070800038000000000000005');
  t.deepEqual(decodeExchangeDatagram(acknowledgement), {
    ...{ kind: 'acknowledgement', side: 'request', exchange },
    ...state,
  });
  const refusal = encodeRefusal(exchange);
  t.is(refusal.toString('hex'), '62010102030405060708');
  t.deepEqual(decodeExchangeDatagram(refusal), { kind: 'refusal', exchange });
});

test('what is none of the three is told apart', (t) => {
  const good = encodePiece('request', '0102030405060708', Buffer.alloc(PIECE_BYTES + 2), 0);
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes[at] = value;
    return bytes;
  };
  for (const [why, bytes] of [
    ['no such kind', changed(0, 0x6f)],
    ['no such side', changed(1, 2)],
    ['cut off in the head', Buffer.from(good.subarray(0, 13))],
    ['a piece that is short and not the last', Buffer.from(good.subarray(0, 400))],
    ['a piece that is too long', Buffer.concat([good, Buffer.alloc(1)])],
    ['behind the last', changed(11, 2)],
    ['an empty last piece of more than one', Buffer.from(good.subarray(0, 14)).fill(1, 11, 12)],
    ['an acknowledgement that is short', Buffer.from(changed(0, 0x61).subarray(0, 19))],
    ['a refusal with more', Buffer.from(changed(0, 0x62).subarray(0, 11))],
    ['a refusal by who asks', Buffer.from(changed(0, 0x62).subarray(0, 10))],
    ['nothing', Buffer.alloc(0)],
  ] as const) {
    t.is(decodeExchangeDatagram(bytes), undefined, why);
  }
});
