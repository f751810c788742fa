import fc from 'fast-check';
import test from 'ava';
import { asPeerId, type PeerId } from '../../src/base/types.ts';
import {
  addVoter,
  beginSession,
  closeWindows,
  grant,
  isLawful,
  openWindow,
  removeVoter,
  revoke,
  type Change,
} from '../../src/ipam/change.ts';
import {
  foundPool,
  isIndispensable,
  isSane,
  ownedBy,
  ownerOf,
  windowSize,
  windowsOf,
  type PoolValue,
} from '../../src/ipam/pool.ts';
import { sizeOf, type Range } from '../../src/ipam/range.ts';
import { check } from '../fakes/property.ts';

const id = (letter: string): PeerId => asPeerId(letter.repeat(32));
const [A, B, C] = [id('a'), id('b'), id('c')];
const HOSTS = [A, B, C, id('d')];

const found = (founders: readonly PeerId[], size = 256n): PoolValue =>
  foundPool({ size, auto: { start: 0n, end: size }, founders, leaseMs: 1000 });

test('founders divide a pool evenly and alike, whatever its size', (t) => {
  check(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.bigInt(4n, 2n ** 80n), (count, size) => {
      const founders = HOSTS.slice(0, count);
      const value = found(founders, size);
      const sizes = founders.map((host) => sizeOf(ownedBy(value, host)));
      const total = sizes.reduce((sum, each) => sum + each, 0n);
      const spread = sizes.every((each) => each >= size / BigInt(count));
      return isSane(value) && total === size && spread;
    }),
  );
  t.deepEqual(found([A, B, C]), found([A, B, C]));
});

test('addresses are chosen from the range alone; what lies around it has owners too', (t) => {
  const value = foundPool({
    ...{ size: 256n, auto: { start: 64n, end: 128n }, founders: [A, B, C], leaseMs: 1000 },
  });
  t.is(ownerOf(value, 0n), A);
  t.is(ownerOf(value, 255n), C);
  t.deepEqual(windowsOf(value, A), [{ start: 64n, end: 80n }]);
});

test('one or two voters may allocate anywhere in their shares, three in windows', (t) => {
  t.is(sizeOf(windowsOf(found([A, B]), B)), 128n);
  t.true(isIndispensable(found([A, B]), A));
  t.false(isIndispensable(found([A, B, C]), A));
  t.is(sizeOf(windowsOf(found([A, B, C]), A)), 16n);
  t.is(windowSize(found([A], 8n)), 1n);
});

test('a lapse leaves windows to the host, and being forgotten nothing', (t) => {
  const value = found([A, B, C]);
  const lapsed = revoke(A, B, 'lapsed')(value);
  t.deepEqual(lapsed && ownedBy(lapsed, A), [{ start: 0n, end: 16n }]);
  t.is(lapsed && revoke(A, C, 'lapsed')(lapsed), undefined);
  const gone = lapsed && revoke(A, C, 'forgotten')(lapsed);
  t.deepEqual(gone && ownedBy(gone, A), []);
  t.is(gone?.revoked.get(A)?.epoch, 2);
  t.is(gone && revoke(A, C, 'forgotten')(gone), undefined);
});

test('only an owner gives its space away', (t) => {
  const value = found([A, B, C]);
  t.is(grant(A, { start: 80n, end: 90n }, B, true)(value), undefined);
  const given = grant(A, { start: 40n, end: 41n }, B, true)(value);
  t.is(given && ownerOf(given, 40n), B);
  t.true(given !== undefined && isLawful(value, given, A) && !isLawful(value, given, C));
});

test('there are at most five voters and at least one', (t) => {
  const four = found(HOSTS);
  const five = addVoter(id('e'))(four);
  t.is(five?.voters.length, 5);
  t.is(five && addVoter(id('f'))(five), undefined);
  t.is(removeVoter(A)(found([A])), undefined);
});

const host = fc.constantFrom(...HOSTS);
const range = fc
  .tuple(fc.bigInt(0n, 255n), fc.bigInt(1n, 40n))
  .map(([start, length]): Range => ({ start, end: start + length > 256n ? 256n : start + length }));
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(host, range, host, fc.boolean()).map((args) => grant(...args)),
  fc.tuple(host, range).map((args) => openWindow(...args)),
  fc.tuple(host, range).map(([who, each]) => closeWindows(who, [each])),
  fc
    .tuple(host, host, fc.constantFrom('lapsed' as const, 'forgotten' as const))
    .filter(([gone, heir]) => gone !== heir)
    .map((args) => revoke(...args)),
  host.map(addVoter),
  host.map(removeVoter),
  host.map(beginSession),
);

test('whatever changes follow one another, each address has one owner and windows lie in shares', (t) => {
  t.notThrows(() =>
    check(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        let value = found([A, B, C]);
        for (const each of changes) value = each(value) ?? value;
        const owned = HOSTS.reduce((sum, each) => sum + sizeOf(ownedBy(value, each)), 0n);
        const open = HOSTS.reduce((sum, each) => sum + sizeOf(windowsOf(value, each)), 0n);
        return isSane(value) && owned === 256n && open === sizeOf(value.windows);
      }),
      500,
    ),
  );
});
