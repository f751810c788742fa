import type { SealingCipher } from '../encap/sealed.ts';
import type { HandshakeState } from './noise/handshake-state.ts';
import { hkdf } from './noise/suite.ts';

/** What one direction of a session uses: a key for frames, and one that confirms the handshake. */
export interface DirectionKeys {
  readonly frames: Buffer;
  readonly confirmation: Buffer;
}

const FRAMES = Buffer.from('weft frames 1');

function directionKeys(key: Buffer | undefined): DirectionKeys {
  const [frames, confirmation] = hkdf('BLAKE2s', key ?? Buffer.alloc(0), FRAMES);
  return { frames, confirmation };
}

/** The keys of a handshake that is over. No key of Noise's own seals anything: each has one use. */
export function sessionKeys(handshake: HandshakeState): {
  readonly send: DirectionKeys;
  readonly receive: DirectionKeys;
} {
  const { send, receive } = handshake.split();
  return { send: directionKeys(send.key), receive: directionKeys(receive.key) };
}

/** Bits of the byte that offers and chooses ciphers. */
export const CIPHER_BITS = {
  'chacha20-poly1305': 0x01,
  'aes-256-gcm': 0x02,
} as const satisfies Readonly<Record<SealingCipher, number>>;

/** AES where both ends have it in hardware, otherwise ChaCha20, which every host offers. */
export function chooseCipher(offered: number, own: number): SealingCipher {
  return (offered & own & CIPHER_BITS['aes-256-gcm']) === 0 ? 'chacha20-poly1305' : 'aes-256-gcm';
}

/** The cipher that the other end chose, if it was offered. */
export function chosenCipher(choice: number, own: number): SealingCipher | undefined {
  return (Object.keys(CIPHER_BITS) as SealingCipher[]).find(
    (cipher) => CIPHER_BITS[cipher] === choice && (own & choice) !== 0,
  );
}
