import test from 'ava';
import fc from 'fast-check';
import { decodeCbor, encodeCbor, isPlainCbor } from '../../src/gossip/cbor.ts';
import { check } from '../fakes/property.ts';

const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

test('plain data survives', (t) => {
  const value = { name: 'blue', vni: 7, list: [1, -2, 1.5, true, null], nested: { a: 'ä' } };
  const bytes = encodeCbor(value);
  t.deepEqual(bytes && decodeCbor(bytes), { value });
});

for (const [name, hex] of [
  ['nothing', ''],
  ['an item cut short', '6361'],
  ['two items', '0101'],
  ['an array that claims 2^32 - 1 items', '9affffffff'],
  ['a map that claims 2^53 entries', 'bb0020000000000000'],
  ['a text that claims 2^64 - 1 bytes', '7bffffffffffffffff'],
  ['a tag (date)', 'c100'],
  ['a tag of cbor-x (record)', 'd9dfff8301816161 01'.replace(' ', '')],
  ['an indefinite array', '9f01ff'],
  ['a break', 'ff'],
  ['a reserved length', '1c'],
  ['17 arrays in each other', '81'.repeat(17) + '01'],
] as const) {
  test(`${name} is refused before it is decoded`, (t) => {
    t.false(isPlainCbor(fromHex(hex)));
    t.is(decodeCbor(fromHex(hex)), undefined);
  });
}

test('what needs tags or is too deep is not encoded', (t) => {
  let deep: unknown = 1;
  for (let level = 0; level < 17; level++) deep = [deep];
  t.is(encodeCbor(deep), undefined);
  t.is(encodeCbor(new Date(0)), undefined);
});

test('JSON values survive, and random bytes never throw', (t) => {
  t.notThrows(() => {
    check(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        // cbor-x renames the one key that would reach an object's prototype.
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const bytes = encodeCbor(value);
        // JSON knows no -0, and neither do our rows.
        t.deepEqual(bytes && decodeCbor(bytes)?.value, JSON.parse(JSON.stringify(value)));
      }),
      300,
    );
    check(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void decodeCbor(bytes)),
      10_000,
    );
  });
});
