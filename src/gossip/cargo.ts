import ipaddr from 'ipaddr.js';
import { asPeerId, type PeerId, type SocketAddress } from '../base/types.ts';
import { weft } from './generated/wire.js';
import { MAX_COUNT, MAX_MILLIS } from './hybrid-clock.ts';
import {
  isHostName,
  isUnspecified,
  MAX_INCARNATION,
  MAX_META_BYTES,
  type MemberRecord,
  type MemberState,
  type VersionRange,
} from './member.ts';
import { isTableName, MAX_KEY_BYTES, MAX_VALUE_BYTES, type Row } from './replica.ts';

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

/** What every message may carry; `malformed*` count what had to be skipped. */
export interface Cargo {
  readonly claims: readonly Claim[];
  readonly rows: readonly Row[];
  readonly malformedClaims: number;
  readonly malformedRows: number;
}

export const idBytes = (id: PeerId): Uint8Array => Buffer.from(id, 'hex');

export function idFrom(bytes: Uint8Array): PeerId | undefined {
  return bytes.length === PEER_ID_BYTES
    ? asPeerId(Buffer.from(bytes.buffer, bytes.byteOffset, PEER_ID_BYTES).toString('hex'))
    : undefined;
}

export function addressBytes({ address, port }: SocketAddress): weft.gossip.Address.$Properties {
  const ip = isUnspecified(address) ? [] : ipaddr.parse(address).toByteArray();
  return { ip: Uint8Array.from(ip), port };
}

/** IPv4 mapped into IPv6 comes out as IPv4, so that one host has one textual address. */
export function normalizeIp(text: string): string {
  const ip = ipaddr.process(text);
  return ip instanceof ipaddr.IPv6 ? ip.toRFC5952String() : ip.toString();
}

export function addressFrom(
  message: weft.gossip.Address.$Properties | null | undefined,
): SocketAddress | undefined {
  const { ip, port } = message ?? {};
  if (port === undefined || port === null || port < 1 || port > 65535) return undefined;
  if (!ip || ip.length === 0) return { address: '0.0.0.0', port };
  if (ip.length === 4) return { address: ip.join('.'), port };
  if (ip.length !== 16) return undefined;
  return { address: normalizeIp(ipaddr.fromByteArray([...ip]).toString()), port };
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
    id: idBytes(record.id),
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

export function recordFrom(message: weft.gossip.Claim.$Properties): MemberRecord | undefined {
  const { name, incarnation, meta, ...rest } = message as Decoded<typeof message>;
  const id = idFrom(rest.id);
  const state = STATES_BY_CODE.get(rest.state);
  const address = addressFrom(message.address);
  const protocol = rangeFrom(rest.minVersion, rest.maxVersion);
  if (!id || !state || !address || !protocol || !isHostName(name)) return undefined;
  if (incarnation > MAX_INCARNATION || meta.length > MAX_META_BYTES) return undefined;
  return { id, name, address, incarnation, state, protocol, meta: Uint8Array.from(meta) };
}

function claimFrom(message: weft.gossip.Claim.$Properties): Claim | undefined {
  const record = recordFrom(message);
  if (record === undefined) return undefined;
  const accuser = idFrom((message as Decoded<typeof message>).accuser);
  return accuser === undefined ? { record } : { record, accuser };
}

function rowMessage({ table, key, stamp, author, value }: Row): weft.gossip.Row.$Properties {
  const head = { table, key, ...stamp, author: idBytes(author) };
  return value === undefined ? head : { ...head, value };
}

function rowFrom(message: weft.gossip.Row.$Properties): Row | undefined {
  const { table, key, count, value, ...rest } = message as Decoded<typeof message>;
  // 64-bit numbers come as Long; beyond 2^53 the conversion rounds, and the range check refuses.
  const millis = Number(rest.millis.toString());
  const author = idFrom(rest.author);
  const keyBytes = Buffer.byteLength(key);
  if (!author || !isTableName(table) || keyBytes === 0 || keyBytes > MAX_KEY_BYTES)
    return undefined;
  if (millis > MAX_MILLIS || count > MAX_COUNT || value.length > MAX_VALUE_BYTES) return undefined;
  const isTombstone = value.length === 0;
  return {
    table,
    key,
    stamp: { millis, count },
    author,
    value: isTombstone ? undefined : Uint8Array.from(value),
  };
}

/** All of `messages` that make sense. */
function sift<M, T>(messages: readonly M[], read: (message: M) => T | undefined): T[] {
  return messages.map(read).filter((item) => item !== undefined);
}

export function cargoFrom(message: {
  readonly claims: readonly weft.gossip.Claim.$Properties[];
  readonly rows: readonly weft.gossip.Row.$Properties[];
}): Cargo {
  const claims = sift(message.claims, claimFrom);
  const rows = sift(message.rows, rowFrom);
  return {
    claims,
    rows,
    malformedClaims: message.claims.length - claims.length,
    malformedRows: message.rows.length - rows.length,
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
export function decodeRow(bytes: Uint8Array): Row | undefined {
  return attempt(() => cargoFrom(proto.Datagram.decode(bytes)).rows[0]);
}

/** Protobuf's reader throws at broken bytes: here that is an answer like any other. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
