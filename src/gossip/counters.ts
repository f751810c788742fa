/** Every count gossip keeps. A refusal of bytes from the network is one of these and nothing else. */
export const COUNTERS = [
  'datagramsSent',
  'datagramBytesSent',
  'datagramsReceived',
  'datagramBytesReceived',
  'exchangesStarted',
  'exchangesFailed',
  'exchangesAnswered',
  'exchangesRefused',
  /** Bytes of sync messages: what this host asked, and the answers to it. */
  'exchangeBytesSent',
  'exchangeBytesReceived',
  /** Rows in sync messages, both ways, of syncs that this host began. */
  'exchangeRowsSent',
  'exchangeRowsReceived',
  'probesSent',
  'probesFailed',
  /** Probes that only the ping by TCP answered: UDP is blocked on that way. */
  'probesSavedByStream',
  /** Timers that came late by more than `probeTimeout`: this host stood still. */
  'standstills',
  'suspicionsRaised',
  'deathsDeclared',
  'refutations',
  /** Rows of this host's that it wrote once more, since another had deleted them or told an old version. */
  'rowsRefuted',
  'nameConflicts',
  'rowsAccepted',
  'broadcastsEvicted',

  /** Longer than a datagram may be, or too short for a header. */
  'dropLength',
  /** First byte is not gossip's. */
  'dropKind',
  /** A protocol version that this host does not speak, in a header or in a claim. */
  'dropVersion',
  /** Another mesh's label. */
  'dropLabel',
  /** The header is right and what follows is not. */
  'dropMalformed',
  /** Sent by this host's own identity. */
  'dropEcho',
  /** This host has left the mesh. */
  'dropDetached',
  /** A ping for another host: its address has changed hands. */
  'dropMisdirected',
  /** An ack or nack that nothing waits for: too late, doubled or forged. */
  'dropUnawaited',
  /** An indirect probe beyond what this host relays at a time. */
  'dropRelay',
  'claimMalformed',
  /** What it says of a member, that member has not signed. */
  'claimForged',
  /** An incarnation further ahead than its host can have come: forged. */
  'claimLeap',
  /** `membersMax` active members are kept already. */
  'memberQuota',
  'rowMalformed',
  /** Its author has not signed it. */
  'rowForged',
  /** Its author is not the host whose row it is; nobody but that host writes it, or deletes it while it lives. */
  'rowForeign',
  /** Claims and rows beyond `SIGNED_MAX` in one message. */
  'cargoExcess',
  /** The row's stamp lies further ahead of the wall clock than `clockAheadMax`. */
  'rowFuture',
  /** The value is longer than its table allows. */
  'rowTooLarge',
  /** The value is not what its table's schema wants. */
  'rowInvalid',
  /** `rowsMax` rows are kept already. */
  'rowQuota',
  /** `rowsPerAuthorMax` rows of the author are kept already. */
  'rowAuthorQuota',
  /** Rows deleted again: a host offered them that was away for longer than tombstones are kept. */
  'rowsBuried',
  /** Rows of such a host that were left alone by one that does not know better yet. */
  'rowsLeft',
  /** A part of a sync's digests that is none, or beyond the most that one message may have. */
  'rangeMalformed',
  /** Syncs ended because they brought nothing on, or never came to an end. */
  'syncsFruitless',
] as const;

export type CounterName = (typeof COUNTERS)[number];

export class Counters {
  readonly #values = new Map<CounterName, number>(COUNTERS.map((name) => [name, 0]));

  add(name: CounterName, amount = 1): void {
    this.#values.set(name, this.get(name) + amount);
  }

  get(name: CounterName): number {
    return this.#values.get(name) ?? 0;
  }

  snapshot(): Record<string, number> {
    return Object.fromEntries(this.#values);
  }
}
