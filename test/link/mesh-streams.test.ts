import test from 'ava';
import { asMillis, asPeerId, type SocketAddress } from '../../src/base/types.ts';
import { Envelope } from '../../src/link/envelope.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { BARE_KIND, MeshStreams } from '../../src/link/mesh-streams.ts';
import type { StreamTransport } from '../../src/underlay/stream.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { KEYRING, keysOf } from './envelope-world.ts';

const WITHIN = asMillis(5000);

/** Two hosts and a wire between them that can be listened to and meddled with. */
class StreamWorld {
  readonly clock = new ManualClock();
  readonly requests: Buffer[] = [];
  readonly answers: Buffer[] = [];
  readonly #answerers = new Map<string, (request: Buffer, from: SocketAddress) => unknown>();
  onRequest = (bytes: Buffer): Buffer => bytes;
  onAnswer = (bytes: Buffer): Buffer => bytes;
  #count = 0;

  add(keyring: Keyring | 'open' = KEYRING) {
    const number = ++this.#count;
    const local = { address: `192.0.2.${number}`, port: 7783 };
    const self = asPeerId(String(number).padStart(32, '0'));
    const keys = keyring === 'open' ? undefined : keysOf(keyring);
    const envelope = keys && new Envelope({ self, keys: () => keys });
    const inner: StreamTransport = {
      local,
      exchange: (to, request) => this.#exchange(local, to, request),
      onRequest: (answer) => void this.#answerers.set(local.address, answer),
      close: () => Promise.resolve(),
    };
    const heard: string[] = [];
    const streams = new MeshStreams({ inner, envelope, clock: this.clock });
    streams.onRequest((request) => {
      heard.push(request.toString());
      return Buffer.from(`answer to ${request.toString()}`);
    });
    return { local, streams, heard, envelope, self };
  }

  /** Sends bytes to a host as they are, and returns what it says. */
  put(to: SocketAddress, request: Buffer): Buffer | undefined {
    const answer = this.#answerers.get(to.address)?.(request, { address: '192.0.2.99', port: 9 });
    return answer instanceof Uint8Array ? Buffer.from(answer) : undefined;
  }

  #exchange(from: SocketAddress, to: SocketAddress, request: Uint8Array): Promise<Buffer> {
    const sent = this.onRequest(Buffer.from(request));
    this.requests.push(sent);
    const answer = this.#answerers.get(to.address)?.(Buffer.from(sent), from);
    if (!(answer instanceof Uint8Array)) return Promise.reject(new Error('closed'));
    const returned = this.onAnswer(Buffer.from(answer));
    this.answers.push(returned);
    return Promise.resolve(returned);
  }
}

const text = async (answer: Promise<Buffer>): Promise<string> => (await answer).toString();

test('a request and its answer are sealed; the first of a host takes one more exchange', async (t) => {
  const world = new StreamWorld();
  const [a, b] = [world.add(), world.add()];
  for (const question of ['one', 'two']) {
    const answer = await text(a.streams.exchange(b.local, Buffer.from(question), WITHIN));
    t.is(answer, `answer to ${question}`);
  }
  t.deepEqual(b.heard, ['one', 'two']);
  t.is(world.requests.length, 3);
  const seen = Buffer.concat([...world.requests, ...world.answers]).toString('latin1');
  for (const word of ['one', 'two', 'answer']) t.false(seen.includes(word));
  await b.streams.exchange(a.local, Buffer.from('three'), WITHIN);
  t.is(world.requests.length, 4, 'they know each other by now');
});

test('replay of every recorded request: no answer but to greet, and nothing happens', async (t) => {
  const world = new StreamWorld();
  const [a, b] = [world.add(), world.add()];
  await a.streams.exchange(b.local, Buffer.from('one'), WITHIN);
  await a.streams.exchange(b.local, Buffer.from('two'), WITHIN);
  const recorded = [...world.requests];
  for (const request of recorded) world.put(b.local, request);
  t.deepEqual(b.heard, ['one', 'two']);
  world.clock.advance(700_000);
  const answers = recorded.map((request) => world.put(b.local, request));
  t.deepEqual(b.heard, ['one', 'two'], 'also when the sender has been forgotten');
  for (const answer of answers) t.true((answer?.length ?? 0) < 64);
});

test('truncation of push-pull streams, bit flips, and answers that are swapped or reflected', async (t) => {
  const world = new StreamWorld();
  const [a, b] = [world.add(), world.add()];
  const ask = () => a.streams.exchange(b.local, Buffer.from('question'), WITHIN);
  await ask();
  const [first] = world.answers.slice(-1);
  const fails = async (why: string): Promise<void> => {
    await t.throwsAsync(ask, undefined, why);
  };
  for (const cut of [0, 1, 13, 29, 30, 40]) {
    world.onAnswer = (bytes) => bytes.subarray(0, Math.min(cut, bytes.length - 1));
    await fails(`cut to ${cut}`);
  }
  world.onAnswer = (bytes) => bytes.subarray(0, -1);
  await fails('a byte is missing');
  world.onAnswer = () => first ?? Buffer.alloc(0);
  await fails('the answer to another question');
  world.onAnswer = () => world.requests.at(-1) ?? Buffer.alloc(0);
  await fails('its own question');
  for (let at = 0; at < (first?.length ?? 0); at++) {
    world.onAnswer = (bytes) => {
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    };
    await fails(`a bit of byte ${at}`);
  }
  world.onAnswer = (bytes) => bytes;
  const heard = b.heard.length;
  for (const cut of [0, 1, 29, 30, 60]) {
    world.onRequest = (bytes) => bytes.subarray(0, Math.min(cut, bytes.length - 1));
    await fails(`a question cut to ${cut}`);
  }
  t.is(b.heard.length, heard);
  world.onRequest = (bytes) => bytes;
  t.is(await text(ask()), 'answer to question');
});

test('hosts with other keys, or open ones, are told in one sentence what to do', async (t) => {
  const world = new StreamWorld();
  const [sealed, other] = [world.add(), world.add(Keyring.create())];
  const [open, second] = [world.add('open'), world.add('open')];
  const ask = (from: typeof sealed, to: typeof sealed) =>
    from.streams.exchange(to.local, Buffer.from('question'), WITHIN);
  await t.throwsAsync(ask(sealed, other), { code: 'E_MESH_KEYS', message: /"weft token" there/ });
  await t.throwsAsync(ask(sealed, open), { code: 'E_MESH_KEYS', message: /is open and .* sealed/ });
  await t.throwsAsync(ask(open, sealed), { code: 'E_MESH_KEYS', message: /is sealed and .* open/ });
  t.is(await text(ask(open, second)), 'answer to question');
  t.deepEqual([sealed.heard, other.heard, open.heard], [[], [], []]);
});

test('questions about keys are asked bare, and no others are answered so', async (t) => {
  const world = new StreamWorld();
  const [a, b] = [world.add(), world.add(Keyring.create())];
  b.streams.serveBare(BARE_KIND.joining, (body) => Buffer.concat([body, Buffer.from('!')]));
  const answer = await a.streams.askBare(BARE_KIND.joining, b.local, Buffer.from('hi'), WITHIN);
  t.is(answer?.toString(), 'hi!');
  for (let kind = 0; kind < 256; kind++) {
    if (kind === BARE_KIND.joining) continue;
    const said = world.put(b.local, Buffer.from([kind, 1, 2, 3]));
    t.true(said === undefined || said[0] === BARE_KIND.refusal);
  }
  t.deepEqual(b.heard, []);
});

test('an expelled host gets no answer under the keys that it still has', async (t) => {
  const world = new StreamWorld();
  const x = world.add();
  const b = world.add(KEYRING.judge(x.self, 'x', true));
  await t.throwsAsync(x.streams.exchange(b.local, Buffer.from('question'), WITHIN), {
    code: 'E_MESH_KEYS',
  });
  t.deepEqual(b.heard, []);
  t.is(b.envelope?.counters().envelopeExpelled, 1);
});
