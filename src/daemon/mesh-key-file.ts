import { readFileSync } from 'node:fs';
import { AppError, errnoOf } from '../base/errors.ts';
import { MESH_KEY_BYTES, meshIdOf, type Keyring } from '../link/keyring.ts';

const HOW = 'make one with "openssl rand -base64 32"';

/** The first key of the mesh, as a file holds it. E_CONFIG if there is none in it. */
export function readMeshKey(path: string): Buffer {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new AppError(
      'E_CONFIG',
      `The mesh key file ${path} can't be read (${errnoOf(cause) ?? String(cause)}); ${HOW}.`,
      { cause },
    );
  }
  const key = Buffer.from(text, 'base64');
  if (key.length === MESH_KEY_BYTES && key.toString('base64') === text) return key;
  throw new AppError(
    'E_CONFIG',
    `The mesh key file ${path} holds no ${MESH_KEY_BYTES} bytes in Base64; ${HOW}.`,
  );
}

/** E_CONFIG if this host is of another mesh than the file's. */
export function checkMeshKey(key: Uint8Array, keyring: Keyring, path: string): void {
  if (meshIdOf(key) === keyring.meshId) return;
  throw new AppError(
    'E_CONFIG',
    `The mesh key file ${path} is of mesh ${meshIdOf(key)}, and this host of mesh ${keyring.meshId}; start without the file, or with a new --state-dir.`,
  );
}
