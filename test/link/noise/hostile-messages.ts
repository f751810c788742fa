import { pick, randomInt, type Rng } from '../../../src/base/rng.ts';
import { HandshakeState } from '../../../src/link/noise/handshake-state.ts';
import { KeyPair, PublicKey } from '../../../src/link/noise/key-pair.ts';
import { PATTERNS, type PatternName } from '../../../src/link/noise/pattern.ts';

const SUITE = { cipher: 'ChaChaPoly', hash: 'BLAKE2s' } as const;
const PAYLOAD = Buffer.from('payload');
/** Keys of a small order (RFC 7748 §6.1): with them every result is zeros. */
const WORTHLESS = [Buffer.alloc(32), Buffer.concat([Buffer.of(1), Buffer.alloc(31)])];
/** Hostile messages to one handshake before it gets the right one. */
const INPUTS_EACH = 50;

function pair(pattern: PatternName): readonly [HandshakeState, HandshakeState] {
  const [s, rs] = [KeyPair.generate(), KeyPair.generate()];
  const common = { pattern, suite: SUITE, prologue: PAYLOAD, psk: Buffer.alloc(32, 7) };
  const known = PATTERNS[pattern].knowsResponder ? { rs: PublicKey.from(rs.publicKey) } : {};
  return [
    new HandshakeState({ ...common, isInitiator: true, s, ...known }),
    new HandshakeState({ ...common, isInitiator: false, s: rs }),
  ];
}

function randomBytes(rng: Rng, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let at = 0; at < count; at++) bytes.writeUInt8(randomInt(rng, 256), at);
  return bytes;
}

function flip(bytes: Buffer, rng: Rng): Buffer {
  const flipped = Buffer.from(bytes);
  const at = randomInt(rng, flipped.length);
  flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << randomInt(rng, 8)), at);
  return flipped;
}

/** What an attacker makes of the message that is due, and of those before it. */
function forge(due: Buffer, before: readonly Buffer[], rng: Rng): Buffer {
  switch (randomInt(rng, 7)) {
    case 0:
      return flip(due, rng);
    case 1:
      return due.subarray(0, randomInt(rng, due.length));
    case 2:
      return Buffer.concat([due, randomBytes(rng, 1 + randomInt(rng, 64))]);
    case 3:
      return randomBytes(rng, randomInt(rng, 300));
    case 4:
      return Buffer.concat([pick(rng, WORTHLESS), due.subarray(32)]);
    case 5:
      return before.length > 0 ? pick(rng, before) : due.subarray(1);
    default: {
      const head = randomInt(rng, due.length);
      return Buffer.concat([due.subarray(0, head), randomBytes(rng, due.length - head)]);
    }
  }
}

/** Every message of both patterns that Weft speaks. */
const TURNS = (['XXpsk3', 'IKpsk2'] as const).flatMap((pattern) =>
  PATTERNS[pattern].messages.map((_, turn) => ({ pattern, turn })),
);

/** Takes a handshake to its message `turn`; returns who waits for it, the message, and those before it. */
function upTo({ pattern, turn }: (typeof TURNS)[number]) {
  const ends = pair(pattern);
  const before: Buffer[] = [];
  for (let step = 0; ; step++) {
    const [writer, reader] = step % 2 === 0 ? ends : [ends[1], ends[0]];
    const due = writer.writeMessage(PAYLOAD);
    if (step === turn) return { reader, due, before };
    reader.readMessage(due);
    before.push(due);
  }
}

/**
 * Puts `inputs` hostile messages to handshakes at every stage. Each must be refused without a trace: the
 * transcript and what is known of the other end stay, and the right message is read afterwards. Returns
 * what went wrong, in words.
 */
export function sendHostile(inputs: number, rng: Rng): string[] {
  const faults: string[] = [];
  for (let sent = 0; sent < inputs;) {
    const turn = pick(rng, TURNS);
    const { reader, due, before } = upTo(turn);
    const label = `${turn.pattern} message ${turn.turn}`;
    const known = () => [reader.handshakeHash, reader.remoteStatic ?? 'none'].map(String).join();
    const state = known();
    for (let each = 0; each < INPUTS_EACH && sent < inputs; each++, sent++) {
      const hostile = forge(due, before, rng);
      if (hostile.equals(due)) continue;
      if (reader.readMessage(hostile) !== undefined) {
        faults.push(`${label} accepted ${hostile.toString('hex')}`);
      }
      if (known() !== state) faults.push(`${label} was changed by ${hostile.toString('hex')}`);
    }
    if (!reader.readMessage(due)?.equals(PAYLOAD)) faults.push(`${label} was lost`);
  }
  return faults;
}
