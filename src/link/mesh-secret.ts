import { createHash } from 'node:crypto';

export const MESH_SECRET_BYTES = 32;
const MESH_ID_BYTES = 8;

/** Names a secret without telling it: 16 hex digits, the same on all hosts of one mesh. */
export function meshIdOf(secret: Uint8Array): string {
  const digest = createHash('sha256').update('weft mesh id 1').update(secret).digest();
  return digest.toString('hex', 0, MESH_ID_BYTES);
}
