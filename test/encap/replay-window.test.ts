import test from 'ava';
import { randomInt, seededRng } from '../../src/base/rng.ts';
import { ReplayWindow } from '../../src/encap/replay-window.ts';

/** A set of everything seen, and the rule in words. */
class Oracle {
  readonly #seen = new Set<number>();
  readonly #width: number;
  #greatest = -1;

  constructor(width: number) {
    this.#width = width;
  }

  takes(counter: number): boolean {
    if (this.#greatest - counter >= this.#width || this.#seen.has(counter)) return false;
    this.#seen.add(counter);
    this.#greatest = Math.max(this.#greatest, counter);
    return true;
  }
}

for (const width of [64, 2048]) {
  test(`a window of ${width} agrees with a set`, (t) => {
    const rng = seededRng(7);
    const [window, oracle] = [new ReplayWindow(width), new Oracle(width)];
    const pick = (below: number): number => randomInt(rng, below);
    let greatest = 0;
    for (let step = 0; step < 50_000; step++) {
      const jump = pick(500) === 0 ? pick(10 * width) : pick(40);
      const counter = Math.max(0, greatest + jump - pick(pick(8) === 0 ? 2 * width : 60));
      const isNew = window.isNew(counter);
      t.is(isNew, oracle.takes(counter), `counter ${counter} in step ${step}`);
      if (isNew) window.note(counter);
      greatest = Math.max(greatest, counter);
    }
  });
}

test('the greatest counters that a double holds are told apart', (t) => {
  const window = new ReplayWindow(64);
  const last = Number.MAX_SAFE_INTEGER;
  for (const counter of [last, last - 1, last - 63]) {
    t.true(window.isNew(counter));
    window.note(counter);
    t.false(window.isNew(counter));
  }
  t.true(window.isNew(last - 2));
  t.false(window.isNew(last - 64));
});
