import { asPeerId, type PeerId } from '../base/types.ts';
import { addressBytes, addressFrom } from './address.ts';
import { weft } from './generated/wire.js';
import { MAX_COUNT, MAX_MILLIS } from './hybrid-clock.ts';
import {
  isHostName,
  MAX_INCARNATION,
  MAX_META_BYTES,
  type MemberRecord,
  type MemberState,
  type VersionRange,
} from './member.ts';
import { isTableName, MAX_KEY_BYTES, MAX_VALUE_BYTES, type Row } from './replica.ts';
import { HOST_KEY_BYTES, SIGNATURE_BYTES, type IdOf } from './signatures.ts';

/**
 * The pieces that every gossip message is made of: addresses, claims and rows, to and from wire.proto.
 * Readers copy what they return, so that the caller's buffer may be reused; they answer `undefined` to
 * bytes that make no sense, and never throw.
 */
/** A decoded message: protobuf's code gives every scalar that is absent its default. */
export type Decoded<Properties> = {
  readonly [Field in keyof Properties]-?: NonNullable<Properties[Field]>;
};

const PEER_ID_BYTES = 16;
const MAX_VERSION = 255;

const proto = weft.gossip;

/** A record, and who suspects it if somebody does. */
export interface Claim {
  readonly record: MemberRecord;
  readonly accuser?: PeerId;
}

/**
 * Most claims and rows that one message may carry. Each may have to be verified, at 0.1 to 0.2 ms: so many
 * do not keep the event loop for 50 ms.
 */
export const SIGNED_MAX = 128;

/** What every message may carry; `malformed*` count what had to be skipped, `excess` what is over `SIGNED_MAX`. */
export interface Cargo {
  readonly claims: readonly Claim[];
  readonly rows: readonly Row[];
  readonly malformedClaims: number;
  readonly malformedRows: number;
  readonly excess: number;
}

export const idBytes = (id: PeerId): Uint8Array => Buffer.from(id, 'hex');

export function idFrom(bytes: Uint8Array): PeerId | undefined {
  return bytes.length === PEER_ID_BYTES
    ? asPeerId(Buffer.from(bytes.buffer, bytes.byteOffset, PEER_ID_BYTES).toString('hex'))
    : undefined;
}

export function rangeFrom(min: number, max: number): VersionRange | undefined {
  return min >= 1 && min <= max && max <= MAX_VERSION ? { min, max } : undefined;
}

const STATE_CODES: Record<MemberState, weft.gossip.State> = {
  alive: proto.State.ALIVE,
  suspect: proto.State.SUSPECT,
  dead: proto.State.DEAD,
  left: proto.State.LEFT,
};
const STATES_BY_CODE = new Map(
  Object.entries(STATE_CODES).map(([state, code]) => [code, state as MemberState]),
);

export function claimMessage({ record, accuser }: Claim): weft.gossip.Claim.$Properties {
  return {
    key: record.key,
    signature: record.signature,
    state: STATE_CODES[record.state],
    incarnation: record.incarnation,
    name: record.name,
    address: addressBytes(record.address),
    minVersion: record.protocol.min,
    maxVersion: record.protocol.max,
    meta: record.meta,
    ...(accuser === undefined ? {} : { accuser: idBytes(accuser) }),
  };
}

/** A copy of bytes that have this length, or undefined. */
const exactly = (bytes: Uint8Array, length: number): Uint8Array | undefined =>
  bytes.length === length ? Uint8Array.from(bytes) : undefined;

/** Whether the member has signed it is not looked at. */
export function recordFrom(
  message: weft.gossip.Claim.$Properties,
  idOf: IdOf,
): MemberRecord | undefined {
  const { name, incarnation, meta, ...rest } = message as Decoded<typeof message>;
  const key = exactly(rest.key, HOST_KEY_BYTES);
  const signature = exactly(rest.signature, SIGNATURE_BYTES);
  const state = STATES_BY_CODE.get(rest.state);
  const address = addressFrom(message.address);
  const protocol = rangeFrom(rest.minVersion, rest.maxVersion);
  if (!key || !signature || !state || !address || !protocol || !isHostName(name)) return undefined;
  if (incarnation > MAX_INCARNATION || meta.length > MAX_META_BYTES) return undefined;
  return {
    ...{ id: idOf(key), name, address, incarnation, state, protocol },
    ...{ meta: Uint8Array.from(meta), key, signature },
  };
}

function claimFrom(message: weft.gossip.Claim.$Properties, idOf: IdOf): Claim | undefined {
  const record = recordFrom(message, idOf);
  if (record === undefined) return undefined;
  const accuser = idFrom((message as Decoded<typeof message>).accuser);
  return accuser === undefined ? { record } : { record, accuser };
}

function rowMessage(row: Row): weft.gossip.Row.$Properties {
  const { table, key, stamp, authorKey, signature, value } = row;
  const head = { table, key, ...stamp, authorKey, signature };
  return value === undefined ? head : { ...head, value };
}

function rowFrom(message: weft.gossip.Row.$Properties, idOf: IdOf): Row | undefined {
  const { table, key, count, value, ...rest } = message as Decoded<typeof message>;
  // 64-bit numbers come as Long; beyond 2^53 the conversion rounds, and the range check refuses.
  const millis = Number(rest.millis.toString());
  const authorKey = exactly(rest.authorKey, HOST_KEY_BYTES);
  const signature = exactly(rest.signature, SIGNATURE_BYTES);
  const keyBytes = Buffer.byteLength(key);
  if (!authorKey || !signature || !isTableName(table)) return undefined;
  if (keyBytes === 0 || keyBytes > MAX_KEY_BYTES) return undefined;
  if (millis > MAX_MILLIS || count > MAX_COUNT || value.length > MAX_VALUE_BYTES) return undefined;
  const isTombstone = value.length === 0;
  return {
    table,
    key,
    stamp: { millis, count },
    ...{ author: idOf(authorKey), authorKey, signature },
    value: isTombstone ? undefined : Uint8Array.from(value),
  };
}

/** All of `messages` that make sense. */
function sift<M, T>(messages: readonly M[], read: (message: M) => T | undefined): T[] {
  return messages.map(read).filter((item) => item !== undefined);
}

export function cargoFrom(
  message: {
    readonly claims: readonly weft.gossip.Claim.$Properties[];
    readonly rows: readonly weft.gossip.Row.$Properties[];
  },
  idOf: IdOf,
): Cargo {
  const toldClaims = message.claims.slice(0, SIGNED_MAX);
  const toldRows = message.rows.slice(0, SIGNED_MAX - toldClaims.length);
  const claims = sift(toldClaims, (claim) => claimFrom(claim, idOf));
  const rows = sift(toldRows, (row) => rowFrom(row, idOf));
  const told = toldClaims.length + toldRows.length;
  return {
    claims,
    rows,
    malformedClaims: toldClaims.length - claims.length,
    malformedRows: toldRows.length - rows.length,
    excess: message.claims.length + message.rows.length - told,
  };
}

/**
 * A claim as a piece of any message: field number and length included, and the same in `Datagram`,
 * `SyncRequest` and `SyncAnswer`. Protobuf messages join by concatenation, so pieces are encoded once.
 */
export function encodeClaim(claim: Claim): Uint8Array {
  return proto.Datagram.encode({ claims: [claimMessage(claim)] }).finish();
}

/** A row as a piece of any message, as `encodeClaim`. */
export function encodeRow(row: Row): Uint8Array {
  return proto.Datagram.encode({ rows: [rowMessage(row)] }).finish();
}

/** Reads back one row that `encodeRow` wrote. */
export function decodeRow(bytes: Uint8Array, idOf: IdOf): Row | undefined {
  return attempt(() => cargoFrom(proto.Datagram.decode(bytes), idOf).rows[0]);
}

/** Protobuf's reader throws at broken bytes: here that is an answer like any other. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
