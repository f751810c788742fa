import { asPeerId, type PeerId } from '../../src/base/types.ts';
import {
  HOST_KEY_BYTES,
  SIGNATURE_BYTES,
  signRow,
  type Signatures,
  type UnsignedRow,
} from '../../src/gossip/signatures.ts';
import type { Row } from '../../src/gossip/replica.ts';

const ID_BYTES = 16;
const FNV_PRIME = 0x0100_0193;

/** The key of the host with that id: the id, and zeros. */
export function keyOf(id: PeerId): Uint8Array {
  const key = new Uint8Array(HOST_KEY_BYTES);
  key.set(Buffer.from(id, 'hex'));
  return key;
}

/** The other way round. */
export const idOf = (key: Uint8Array): PeerId =>
  asPeerId(Buffer.from(key.buffer, key.byteOffset, ID_BYTES).toString('hex'));

/** FNV-1a, 32 bits. */
function fold(hash: number, bytes: Uint8Array): number {
  let folded = hash;
  for (const byte of bytes) folded = Math.imul(folded ^ byte, FNV_PRIME);
  return folded;
}

const digest = (key: Uint8Array, message: Uint8Array): number =>
  fold(fold(0x811c_9dc5 | 0, key), message);

const view = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);

/**
 * Signatures that cost a microsecond, for simulations and tests: they depend on every byte of key and message,
 * and whoever wants to can make them for any key.
 */
export class FakeSignatures implements Signatures {
  readonly publicKey: Uint8Array;

  constructor(id: PeerId) {
    this.publicKey = keyOf(id);
  }

  idOf(publicKey: Uint8Array): PeerId {
    return idOf(publicKey);
  }

  sign(message: Uint8Array): Uint8Array {
    const signature = new Uint8Array(SIGNATURE_BYTES);
    view(signature).setInt32(0, digest(this.publicKey, message));
    return signature;
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return view(signature).getInt32(0) === digest(publicKey, message);
  }
}

/** A row as its author would sign it. */
export const signedBy = (author: PeerId, row: UnsignedRow): Row =>
  signRow(row, new FakeSignatures(author));
