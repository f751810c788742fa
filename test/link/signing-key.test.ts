import { createPublicKey, verify } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { edwardsKeyOf } from '../../src/link/edwards.ts';
import { HostSignatures } from '../../src/link/host-signatures.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import { SigningKey } from '../../src/link/signing-key.ts';
import { check } from '../fakes/property.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** RFC 8032 §7.1, those of TEST 1, 2, 3 and SHA(abc): seed, public key, message, signature. */
const RFC_8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const;

/** libsodium's test/default/ed25519_convert.c and .exp: one seed as Ed25519 and as X25519. */
const LIBSODIUM = {
  seed: '421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee',
  curvePublic: 'f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50',
  curvePrivate: '8052030376d47112be7f73ed7a019293dd12ad910b654455798b4667d73de166',
};

for (const [seed, point, message, signature] of RFC_8032) {
  test(`Ed25519 of seed ${seed.slice(0, 8)} is that of RFC 8032`, (t) => {
    const key = SigningKey.from(bytes(seed));
    const isNegative = (bytes(point).at(-1) ?? 0) >= 0x80;
    t.is(key === undefined, isNegative);
    if (key === undefined) return;
    t.is(key.sign(bytes(message)).toString('hex'), signature);
    t.is(edwardsKeyOf(key.pair.publicKey)?.toString('hex'), point);
  });
}

test('the X25519 key of a seed is that of libsodium', (t) => {
  const { curvePublic, curvePrivate } = LIBSODIUM;
  const pair = KeyPair.from(bytes(curvePrivate));
  t.is(pair.publicKey.toString('hex'), curvePublic);
  t.is(SigningKey.from(bytes(LIBSODIUM.seed))?.pair.publicKey.toString('hex'), curvePublic);
});

test('the point of the base point of X25519 is that of Ed25519 (RFC 7748 §4.1)', (t) => {
  const nine = Buffer.alloc(32);
  nine[0] = 9;
  t.is(edwardsKeyOf(nine)?.toString('hex'), `58${'66'.repeat(31)}`);
});

test('what every key signs is verified by its X25519 key alone', (t) => {
  for (let count = 0; count < 50; count++) {
    const key = SigningKey.generate();
    const signatures = new HostSignatures(key);
    const message = Buffer.from(`message ${count}`);
    t.true(signatures.verify(key.pair.publicKey, message, signatures.sign(message)));
    const point = edwardsKeyOf(key.pair.publicKey) ?? Buffer.alloc(0);
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') };
    const plain = createPublicKey({ key: jwk, format: 'jwk' });
    t.true(verify(null, message, plain, signatures.sign(message)));
    t.deepEqual(SigningKey.from(key.exportSeed())?.pair.publicKey, key.pair.publicKey);
    t.is(signatures.idOf(key.pair.publicKey), hostIdOf(key.pair.publicKey));
  }
});

test('a flipped bit in key, message or signature is refused', (t) => {
  const key = SigningKey.generate();
  const signatures = new HostSignatures(key);
  const message = Buffer.from('weft row 1 and more');
  const signature = signatures.sign(message);
  const parts = [key.pair.publicKey, message, signature] as const;
  for (const [part, whole] of parts.entries()) {
    for (let bit = 0; bit < 8 * whole.length; bit += 3) {
      // X25519 ignores the highest bit of a key, and so does the signature; the id is another then.
      if (part === 0 && bit === 255) continue;
      const flipped = parts.map((each) => Buffer.from(each)) as [Buffer, Buffer, Buffer];
      const bytesOf = flipped[part] as Buffer;
      bytesOf[bit >> 3] = (bytesOf[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      t.false(signatures.verify(...flipped), `part ${part}, bit ${bit}`);
    }
  }
});

test('any bytes as key and signature are refused without a throw', (t) => {
  const signatures = new HostSignatures(SigningKey.generate());
  const any = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
  const property = fc.property(
    any,
    signature,
    (key, signed) => !signatures.verify(key, Buffer.of(1), signed),
  );
  t.notThrows(() => check(property, 2000));
  const minusOne = Buffer.alloc(32, 0xff);
  [minusOne[0], minusOne[31]] = [0xec, 0x7f];
  t.is(edwardsKeyOf(minusOne), undefined);
  t.false(signatures.verify(minusOne, Buffer.of(1), Buffer.alloc(64)));
});
