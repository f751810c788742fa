import { createHash, randomBytes } from 'node:crypto';

/**
 * An invitation, as one word:
 *
 *   `weft1.` + Base64url of | id (8) | key (32) | mesh id (8) | check (4) |
 *
 * The check is of SHA-256 over what is before it: a word that was cut or mistyped is told from one that is
 * not good any more.
 */
const PREFIX = 'weft1.';
const ID_BYTES = 8;
const KEY_BYTES = 32;
const MESH_BYTES = 8;
const CHECK_BYTES = 4;

export interface Token {
  /** 16 hex digits: no secret. */
  readonly id: string;
  /** The pre-shared key of one XXpsk3 handshake after the other. */
  readonly key: Buffer;
  /** Of the mesh that it leads to (`meshIdOf`). */
  readonly meshId: string;
}

const check = (bytes: Uint8Array): Buffer =>
  createHash('sha256').update(bytes).digest().subarray(0, CHECK_BYTES);

export function makeToken(meshId: string): Token {
  return { id: randomBytes(ID_BYTES).toString('hex'), key: randomBytes(KEY_BYTES), meshId };
}

export function formatToken({ id, key, meshId }: Token): string {
  const body = Buffer.concat([Buffer.from(id, 'hex'), key, Buffer.from(meshId, 'hex')]);
  return PREFIX + Buffer.concat([body, check(body)]).toString('base64url');
}

/** Undefined if the word is no token, or not all of one. */
export function parseToken(word: string): Token | undefined {
  if (!word.startsWith(PREFIX)) return undefined;
  const bytes = Buffer.from(word.slice(PREFIX.length), 'base64url');
  if (bytes.length !== ID_BYTES + KEY_BYTES + MESH_BYTES + CHECK_BYTES) return undefined;
  const body = bytes.subarray(0, -CHECK_BYTES);
  if (!check(body).equals(bytes.subarray(-CHECK_BYTES))) return undefined;
  const token = {
    id: body.toString('hex', 0, ID_BYTES),
    key: Buffer.from(body.subarray(ID_BYTES, ID_BYTES + KEY_BYTES)),
    meshId: body.toString('hex', ID_BYTES + KEY_BYTES),
  };
  // Base64 is read leniently: the last digit has bits to spare, and what is no digit is passed over.
  return formatToken(token) === word ? token : undefined;
}
