import { createHash } from 'node:crypto';
import { asPeerId, type PeerId } from '../base/types.ts';

/** Bytes of a host's id. */
const ID_BYTES = 16;
/** Told apart from whatever else is hashed with such keys. */
const CONTEXT = 'weft host id 1';

/**
 * The id of the host whose static key this is: the first 16 bytes of SHA-256 of the context and the key.
 * Nobody else can take the id of a host, whoever may write in the mesh: to find another key with the same
 * id takes 2^128 tries (docs/adr/0041).
 */
export function hostIdOf(publicKey: Uint8Array): PeerId {
  const digest = createHash('sha256').update(CONTEXT).update(publicKey).digest();
  return asPeerId(digest.toString('hex', 0, ID_BYTES));
}
