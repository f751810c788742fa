import test from 'ava';
import { Contact, LOCAL_TABLE } from '../../src/gossip/contact.ts';
import { record, WALL } from './fixtures.ts';

const DAY = 86_400_000;
const RETENTION = 7 * DAY;

const ME = record('1');
const NOTE = {
  ...{ table: LOCAL_TABLE, key: 'shared-until', value: undefined },
  ...{ author: ME.id, authorKey: ME.key, signature: new Uint8Array(64) },
};

const contact = (until?: number, started = WALL): Contact => {
  const it = new Contact({ retention: RETENTION, started });
  if (until !== undefined) it.load({ ...NOTE, stamp: { millis: until, count: 0 } });
  return it;
};

/** One that ran from one time to another before. */
const restarted = (from: number, to: number): Contact => {
  const it = contact(from);
  it.load(new Contact({ retention: RETENTION, started: from }).presenceRow(ME, to));
  return it;
};

for (const [name, it, peer, isAlone, verdict] of [
  ['nobody knows since when', contact(WALL), undefined, false, 'take'],
  [
    'the peer was away for less than half the retention',
    contact(WALL),
    WALL - 3 * DAY,
    false,
    'take',
  ],
  ['the peer was away for long', contact(WALL), WALL - 4 * DAY, false, 'bury'],
  ['both were away for long', contact(WALL - 5 * DAY), WALL - 8 * DAY, false, 'take'],
  [
    'this host was alone, but up all the time',
    contact(WALL - 8 * DAY, WALL - 9 * DAY),
    WALL - 8 * DAY,
    true,
    'bury',
  ],
  [
    'this host was alone and restarted since, but had been up at that time',
    restarted(WALL - 9 * DAY, WALL - DAY),
    WALL - 8 * DAY,
    true,
    'bury',
  ],
  [
    'this host was down at that time',
    restarted(WALL - 7 * DAY, WALL - DAY),
    WALL - 8 * DAY,
    true,
    'take',
  ],
  ['this host is new and has others to ask', contact(), WALL - 8 * DAY, false, 'leave'],
  ['this host is new and has nobody else', contact(), WALL - 8 * DAY, true, 'take'],
  ['a forged reading of the far future', contact(WALL), 2 ** 48 - 1, false, 'take'],
] as const) {
  test(`${name}: ${verdict}`, (t) => {
    t.is(it.judge(peer, WALL, isAlone), verdict);
  });
}

test('a sync with somebody in touch sets the reading, one with a long-absent host takes its reading over', (t) => {
  const it = contact();
  t.true(it.note(WALL, WALL - 8 * DAY, WALL, true));
  t.is(it.until, WALL - 8 * DAY);
  t.true(it.note(WALL + 5, WALL - 1000, WALL + 5, true));
  t.is(it.until, WALL + 5);
  t.false(it.note(WALL + 4, undefined, WALL + 6, true), 'it never goes back');
});

test('without changes the reading is saved once a minute', (t) => {
  const it = contact();
  const saves = [0, 30_000, 59_999, 60_000, 90_000].map((ms) =>
    it.note(WALL + 1 + ms, undefined, WALL + ms, false),
  );
  t.deepEqual(saves, [true, false, false, true, false]);
});
