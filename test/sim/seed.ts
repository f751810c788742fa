import type { ExecutionContext } from 'ava';

/**
 * The seed of a simulation: `SEED` from the environment, or one made from the test's title. It is
 * logged, so that a failed run can be repeated.
 */
export function seedFor(t: ExecutionContext, round = 0): number {
  const given = process.env['SEED'];
  let seed = given === undefined ? round : Number(given) + round;
  if (given === undefined) {
    for (const char of t.title) seed = (Math.imul(seed, 31) + char.charCodeAt(0)) >>> 0;
  }
  t.log(`SEED=${given ?? seed}`);
  return seed;
}
