import type { PeerId } from '../base/types.ts';
import { ipBytes, normalizeIp } from './address.ts';
import type { MemberRecord } from './member.ts';
import type { Row } from './replica.ts';

/** Bytes of a host's public key and of what it signs with. */
export const HOST_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/**
 * Who hosts are and what they have signed. The daemon's is Ed25519 (`src/link/host-signatures.ts`); a
 * simulation of thousands of hosts has a cheaper one, whose hosts do not lie.
 */
export interface Signatures {
  /** This host's, `HOST_KEY_BYTES` long. */
  readonly publicKey: Uint8Array;
  /** The id of the host with that key: a function of the key. */
  idOf(publicKey: Uint8Array): PeerId;
  /** `SIGNATURE_BYTES`, the same for the same message. */
  sign(message: Uint8Array): Uint8Array;
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/** By what decoders tell whose key is in a message. */
export type IdOf = Signatures['idOf'];

/** What a host says of itself, before it is signed. */
export type MemberDescription = Omit<MemberRecord, 'key' | 'signature'>;

/** A row before it is signed. */
export type UnsignedRow = Omit<Row, 'author' | 'authorKey' | 'signature'>;

/** Told apart from whatever else is signed with these keys. */
const CONTEXTS = { row: Buffer.from('weft row 1'), member: Buffer.from('weft member 1') } as const;

function unsigned(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
}

/** Text or bytes with their length before them, so that no two lists of fields are the same bytes. */
function prefixed(value: string | Uint8Array, lengthBytes: number): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([unsigned(bytes.length, lengthBytes), bytes]);
}

/**
 * What an author signs of a row: `weft row 1`, table and key with their lengths (1 and 2 bytes), the stamp (6 and
 * 2 bytes), 1 and the value, or 0 for a deletion. Big-endian. Ed25519 itself covers the author's key.
 */
export function rowBytes({ table, key, stamp, value }: UnsignedRow): Uint8Array {
  return Buffer.concat([
    CONTEXTS.row,
    prefixed(table, 1),
    prefixed(key, 2),
    unsigned(stamp.millis, 6),
    unsigned(stamp.count, 2),
    unsigned(Number(value !== undefined), 1),
    value ?? new Uint8Array(),
  ]);
}

/**
 * What a host signs of itself: `weft member 1`, whether it leaves (1 byte), incarnation (4), the protocol's
 * range (1 and 1), name (1 and), IP address (1 and) with its length, the port (2), meta. Big-endian. Whether it
 * is suspected or held dead is for others to say, and not covered.
 */
export function memberBytes(member: MemberDescription): Uint8Array {
  const { address, port } = member.address;
  return Buffer.concat([
    CONTEXTS.member,
    unsigned(Number(member.state === 'left'), 1),
    unsigned(member.incarnation, 4),
    unsigned(member.protocol.min, 1),
    unsigned(member.protocol.max, 1),
    prefixed(member.name, 1),
    prefixed(ipBytes(normalizeIp(address)), 1),
    unsigned(port, 2),
    member.meta,
  ]);
}

/** A row of this host's, now. */
export function signRow(row: UnsignedRow, signatures: Signatures): Row {
  const { publicKey } = signatures;
  return {
    ...row,
    author: signatures.idOf(publicKey),
    authorKey: publicKey,
    signature: signatures.sign(rowBytes(row)),
  };
}

/** What this host says of itself, as others can pass it on. */
export function signMember(member: MemberDescription, signatures: Signatures): MemberRecord {
  return {
    ...member,
    key: signatures.publicKey,
    signature: signatures.sign(memberBytes(member)),
  };
}

export const isSignedRow = (row: Row, signatures: Signatures): boolean =>
  signatures.verify(row.authorKey, rowBytes(row), row.signature);

/** Whether the host described has said so itself, but for being suspected or dead. */
export const isSignedMember = (member: MemberRecord, signatures: Signatures): boolean =>
  signatures.verify(member.key, memberBytes(member), member.signature);
