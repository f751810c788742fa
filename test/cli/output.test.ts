import test from 'ava';
import { DROP_REASONS } from '../../src/dataplane/drop-reason.ts';
import { dropPhrase } from '../../src/cli/drop-phrases.ts';
import { facts, humanBytes, humanSpan, table } from '../../src/cli/output.ts';

test('sizes and spans are short', (t) => {
  t.deepEqual([0, 1023, 1024, 1536, 10 * 1024, 5 * 2 ** 30].map(humanBytes), [
    ...['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '10 KiB', '5.0 GiB'],
  ]);
  t.deepEqual([-1, 59.9, 60, 3600, 90_000].map(humanSpan), [
    ...['0s', '59s', '1m 0s', '1h 0m', '1d 1h'],
  ]);
});

test('tables and facts align', (t) => {
  t.is(table(['A', 'LONG'], [['xyz', '1']], 'none'), 'A    LONG\nxyz  1');
  t.is(table(['A'], [], 'none'), 'none');
  t.is(
    facts([
      ['a', '1'],
      ['long', '2'],
    ]),
    'a     1\nlong  2',
  );
});

test('every drop reason has a phrase of its own that fits beside its name', (t) => {
  const phrases = DROP_REASONS.map(dropPhrase);
  t.is(new Set(phrases).size, DROP_REASONS.length);
  for (const [index, phrase] of phrases.entries()) {
    t.not(phrase, DROP_REASONS[index]?.replaceAll('_', ' '));
    t.true(phrase.length <= 50, phrase);
  }
  t.is(dropPhrase('of_a_newer_daemon'), 'of a newer daemon');
});
