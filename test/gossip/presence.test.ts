import test from 'ava';
import fc from 'fast-check';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import { Presence } from '../../src/gossip/presence.ts';

/** Runs through restarts: each span is [down before it, up in it], in ms. */
function live(spans: readonly (readonly [number, number])[]): {
  readonly presence: Presence;
  readonly up: readonly (readonly [number, number])[];
} {
  let [now, saved] = [1000, undefined as Uint8Array | undefined];
  let presence = new Presence(now);
  const up: [number, number][] = [];
  for (const [down, lasts] of spans) {
    const from = (now += down);
    presence = new Presence(from);
    presence.load(saved);
    saved = presence.encode((now += lasts));
    up.push([from, now]);
  }
  return { presence, up };
}

test('a host knows of its latest 64 lives, and of the one it lives', (t) => {
  const span = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 50 }));
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 100 }), fc.nat(10_000), (spans, time) => {
      const { presence, up } = live(spans);
      const ran = up.slice(-65).some(([from, to]) => from <= time && time <= to);
      const isNow = time >= (up.at(-1)?.[0] ?? 0);
      t.is(presence.covers(time), ran || isNow);
    }),
  );
});

for (const [name, bytes] of [
  ['nothing', undefined],
  ['bytes that are no CBOR', Buffer.from('ff', 'hex')],
  ['a map', encodeCbor({ from: 1 })],
  ['spans of other things', encodeCbor([[1], ['a', 'b'], [5, 1], [-1, 3], [0, 2 ** 60]])],
] as const) {
  test(`${name} means that it never ran before`, (t) => {
    const presence = new Presence(100);
    presence.load(bytes);
    t.false(presence.covers(2));
    t.true(presence.covers(100));
  });
}
