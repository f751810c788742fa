import test from 'ava';
import { seededRng } from '../../src/base/rng.ts';
import { asMillis, asPeerId, type PeerPath, type SocketAddress } from '../../src/base/types.ts';
import { PathMtuProber, type PathMtuChange, type ProbedPath } from '../../src/link/pmtu-prober.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const B = asPeerId('b'.repeat(32));
const AT_B: SocketAddress = { address: '192.0.2.2', port: 7783 };
const UDP_AND_IP = 28;

/** A prober and what answers it, over a path of some MTU. */
class Bench {
  readonly clock = new ManualClock();
  readonly changes: PathMtuChange[] = [];
  readonly sizes: number[] = [];
  paths: ProbedPath[] = [{ peer: B, to: AT_B }];
  mtu = 1500;
  sent = 0;
  overheadBytes = 0;
  prober: PathMtuProber;
  other: PathMtuProber;
  #toOther: (bytes: Buffer, from: SocketAddress) => void = () => undefined;
  #toProber: (bytes: Buffer, from: SocketAddress) => void = () => undefined;

  constructor({ overheadBytes = 0, isProbing = true } = {}) {
    this.overheadBytes = overheadBytes;
    const common = {
      ...{ overheadBytes, relayBytes: 12, traffic: () => new Map([[B, this.sent]]) },
      ...{ settled: () => undefined, clock: this.clock, rng: seededRng(7) },
      interfaceMtu: () => Promise.resolve(1500),
    };
    this.prober = new PathMtuProber({
      ...{ ...common, isProbing, paths: () => this.paths },
      changed: (change) => void this.changes.push(change),
      channel: {
        local: AT_B,
        send: (bytes) => this.#toOther(Buffer.from(bytes), AT_B),
        sendBy: (bytes, way) => this.#carry(bytes, way),
        onReceive: (receive) => void (this.#toProber = receive),
      },
    });
    this.other = new PathMtuProber({
      ...{ ...common, isProbing: false, paths: () => [], changed: () => undefined },
      channel: {
        local: AT_B,
        send: (bytes) => {
          queueMicrotask(() => this.#toProber(Buffer.from(bytes), AT_B));
        },
        sendBy: () => undefined,
        onReceive: (receive) => void (this.#toOther = receive),
      },
    });
  }

  #carry(bytes: Uint8Array, way: PeerPath): void {
    const relay = way.relayTag === undefined ? 0 : 12;
    const size = bytes.length + UDP_AND_IP + this.overheadBytes + relay;
    this.sizes.push(size);
    if (size <= this.mtu) queueMicrotask(() => this.#toOther(Buffer.from(bytes), AT_B));
  }

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      this.clock.advance(asMillis(50));
    }
  }

  receive(bytes: Buffer): void {
    this.#toProber(bytes, AT_B);
  }
}

test('a path is probed with packets of the size that is meant, whatever lies below', async (t) => {
  for (const overheadBytes of [0, 31]) {
    const bench = new Bench({ overheadBytes });
    bench.mtu = 1400;
    await bench.prober.start();
    await bench.run(8000);
    t.is(bench.prober.pathMtu(B), 1400);
    t.is(Math.max(...bench.sizes), 1500);
    t.true(bench.sizes.includes(1400));
    t.deepEqual(
      bench.changes.map(({ mtu, reason }) => [mtu, reason]),
      [[1400, 'first']],
    );
    t.false(bench.prober.isSearching(B));
  }
});

test('by a relay the network has so much less', async (t) => {
  const bench = new Bench();
  bench.paths = [{ peer: B, to: AT_B, relayTag: 7n }];
  await bench.prober.start();
  await bench.run(2000);
  t.is(bench.prober.pathMtu(B), 1500 - 12);
});

test('another path is looked at anew, and what is shared no more is forgotten', async (t) => {
  const bench = new Bench();
  await bench.prober.start();
  await bench.run(1000);
  t.is(bench.prober.pathMtu(B), 1500);
  bench.mtu = 1280;
  bench.paths = [{ peer: B, to: { address: '192.0.2.9', port: 7783 } }];
  bench.prober.refresh();
  await bench.run(8000);
  t.is(bench.prober.pathMtu(B), 1280);
  bench.paths = [];
  bench.prober.refresh();
  await bench.run(100);
  t.is(bench.prober.pathMtu(B), undefined);
  const { length } = bench.sizes;
  await bench.run(60_000);
  t.is(bench.sizes.length, length);
  bench.prober.stop();
});

test('traffic has a path looked after: a black hole is found and counted', async (t) => {
  const bench = new Bench();
  await bench.prober.start();
  await bench.run(1000);
  bench.mtu = 1280;
  for (let round = 0; round < 20; round++) {
    bench.sent += 100_000;
    await bench.run(250);
  }
  t.is(bench.prober.pathMtu(B), 1280);
  t.is(bench.prober.counters().mtuBlackHoles, 1);
});

test('who can not probe answers all the same', async (t) => {
  const bench = new Bench({ isProbing: false });
  await bench.prober.start();
  await bench.run(5000);
  t.deepEqual(bench.sizes, []);
  t.false(bench.prober.isSearching(B));
  t.is(bench.other.counters().mtuProbesAnswered, 0);
});

test('answers with another size, unknown tokens and other bytes are counted and nothing else', async (t) => {
  const bench = new Bench();
  await bench.prober.start();
  const answer = Buffer.alloc(13, 0x59);
  bench.receive(answer);
  bench.receive(Buffer.from([0x5a, 1, 2]));
  bench.receive(Buffer.from([0x58]));
  bench.receive(Buffer.alloc(12, 0x59));
  const { mtuAnswersStray, mtuMalformed } = bench.prober.counters();
  t.deepEqual([mtuAnswersStray, mtuMalformed], [1, 3]);
  t.is(bench.prober.pathMtu(B), undefined);
});
