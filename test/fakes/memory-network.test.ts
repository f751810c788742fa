import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryNetwork, type LinkQuality } from './memory-network.ts';

const A = { address: '192.0.2.1', port: 7783 };
const B = { address: '192.0.2.2', port: 7783 };

function setUp(link: Partial<LinkQuality> = {}, seed = 1) {
  const clock = new ManualClock();
  const network = new MemoryNetwork(clock, { seed, ...link });
  const [a, b] = [network.open(A), network.open(B)];
  const received: string[] = [];
  b.channel.onReceive((bytes, from) => received.push(`${from.address} ${bytes.toString()}`));
  return { clock, network, a, b, received };
}

test('a datagram arrives after the delay, as it was when it was sent', (t) => {
  const { clock, a, received } = setUp({ minDelay: 5, maxDelay: 5 });
  const bytes = Buffer.from('ping');
  a.channel.send(bytes, B);
  bytes.fill(0);
  clock.advance(4);
  t.deepEqual(received, []);
  clock.advance(1);
  t.deepEqual(received, ['192.0.2.1 ping']);
});

test('one seed gives one pattern of loss, near the chance asked for', (t) => {
  const pattern = (seed: number): string => {
    const { clock, a, received } = setUp({ loss: 0.3, minDelay: 0, maxDelay: 50 }, seed);
    for (let index = 0; index < 1000; index++) a.channel.send(Buffer.from(String(index)), B);
    clock.advance(50);
    t.true(Math.abs(received.length - 700) < 60);
    return received.join();
  };
  t.is(pattern(7), pattern(7));
  t.not(pattern(7), pattern(8));
});

test('duplication delivers twice; a cut path and a removed host deliver nothing', (t) => {
  const { clock, network, a, b, received } = setUp({ duplication: 1 });
  a.channel.send(Buffer.from('twice'), B);
  clock.advance(1);
  t.is(received.length, 2);
  network.setCut(A, B, true);
  a.channel.send(Buffer.from('cut'), B);
  network.setCut(A, B, false);
  network.remove(B);
  a.channel.send(Buffer.from('gone'), B);
  b.channel.send(Buffer.from('from the dead'), A);
  clock.advance(10);
  t.is(received.length, 2);
  t.is(network.sent, 3);
});

test('an exchange takes a round trip; a refusal, a silence and a cut reject', async (t) => {
  const { clock, network, a, b } = setUp();
  b.stream.onRequest((request) => Buffer.from(`${request.toString()}!`));
  const answer = a.stream.exchange(B, Buffer.from('hi'), asMillis(100));
  clock.advance(2);
  t.is((await answer).toString(), 'hi!');
  t.is(clock.pendingTimers, 0);

  b.stream.onRequest(() => undefined);
  const unanswered = a.stream.exchange(B, Buffer.from('hi'), asMillis(100));
  clock.advance(2);
  await t.throwsAsync(unanswered, { code: 'E_JOIN_UNREACHABLE', message: /closed/ });

  network.setCut(A, B, true);
  const cut = a.stream.exchange(B, Buffer.from('hi'), asMillis(100));
  clock.advance(100);
  await t.throwsAsync(cut, { code: 'E_JOIN_UNREACHABLE', message: /within 100 ms/ });

  network.setCut(A, B, false);
  await b.stream.close();
  const refused = a.stream.exchange(B, Buffer.from('hi'), asMillis(100));
  clock.advance(1);
  await t.throwsAsync(refused, { code: 'E_JOIN_UNREACHABLE', message: /refused/ });
});
