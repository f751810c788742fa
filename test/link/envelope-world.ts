import { asMillis, asPeerId, type PeerId, type SocketAddress } from '../../src/base/types.ts';
import { Envelope, type EnvelopeKeys, type Opened } from '../../src/link/envelope.ts';
import { Keyring } from '../../src/link/keyring.ts';

export const KEYRING = Keyring.create(Buffer.alloc(32, 7));

export const keysOf = (keyring: Keyring, primary = keyring.newest): EnvelopeKeys => ({
  ...{ primary, active: keyring.active },
  retired: keyring.keys.flatMap(({ id, secret }) => (secret === undefined ? [id] : [])),
  isExpelled: (host) => keyring.isExpelled(host),
});

/** A host that seals and opens, on a wire that loses nothing and remembers all. */
export class Speaker {
  readonly id: PeerId;
  readonly address: SocketAddress;
  readonly heard: string[] = [];
  readonly senders: PeerId[] = [];
  keys: EnvelopeKeys;
  envelope: Envelope;
  readonly #wire: Wire;

  constructor(wire: Wire, number: number, keyring: Keyring) {
    this.#wire = wire;
    this.id = asPeerId(number.toString(16).padStart(32, '0'));
    this.address = { address: `192.0.2.${number}`, port: 7783 };
    this.keys = keysOf(keyring);
    this.envelope = this.#start();
  }

  #start(): Envelope {
    return new Envelope({ self: this.id, keys: () => this.keys });
  }

  /** kill -9 and a new daemon: nothing is remembered. */
  restart(): void {
    this.envelope = this.#start();
  }

  say(text: string, to: Speaker): void {
    this.#wire.carry(this.envelope.seal(Buffer.from(text), this.#wire.now()), this, to);
  }

  receive(bytes: Buffer, from: SocketAddress): readonly Opened[] {
    const { opened, reply } = this.envelope.open(Buffer.from(bytes), from, this.#wire.now());
    this.heard.push(...opened.map(({ bytes: text }) => text.toString()));
    this.senders.push(...opened.map(({ sender }) => sender));
    const to = this.#wire.at(from);
    if (reply !== undefined && to !== undefined) this.#wire.carry(reply, this, to);
    return opened;
  }

  /** What was refused, by reason. */
  refusals(): Record<string, number> {
    const counters = Object.entries(this.envelope.counters());
    return Object.fromEntries(counters.filter(([, count]) => count > 0));
  }
}

export interface Recorded {
  readonly bytes: Buffer;
  readonly from: Speaker;
  readonly to: Speaker;
}

export class Wire {
  readonly log: Recorded[] = [];
  readonly speakers: Speaker[] = [];
  time = 0;

  add(keyring: Keyring = KEYRING): Speaker {
    const speaker = new Speaker(this, this.speakers.length + 1, keyring);
    this.speakers.push(speaker);
    return speaker;
  }

  now(): ReturnType<typeof asMillis> {
    return asMillis(this.time);
  }

  at({ address }: SocketAddress): Speaker | undefined {
    return this.speakers.find((speaker) => speaker.address.address === address);
  }

  carry(bytes: Buffer, from: Speaker, to: Speaker): void {
    this.log.push({ bytes: Buffer.from(bytes), from, to });
    to.receive(bytes, from.address);
  }
}
