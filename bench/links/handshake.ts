import { summarize } from '../lib/statistics.ts';
import { handshakeLoop } from '../micro/handshake.ts';
import type { Figure } from './figure.ts';

const MUST_MS = 1.5;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 5;
const HANDSHAKES = 100;

/** Processor time of the whole process, its collector's threads included, in ms. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Processor time of both ends of a Noise handshake. */
export function measureHandshake(): Promise<Figure[]> {
  const loop = handshakeLoop();
  for (let round = 0; round < WARM_UP_ROUNDS; round++) loop(HANDSHAKES);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = cpuMs();
    loop(HANDSHAKES);
    return (cpuMs() - before) / HANDSHAKES;
  });
  const times = summarize(rounds);
  if (times === undefined) throw new Error('no handshake was measured');
  const { median: ms, min, max } = times;
  return Promise.resolve([
    {
      ...{ what: "a handshake, both ends' CPU", must: `≤ ${MUST_MS} ms` },
      seen: `${ms.toFixed(2)} ms (${min.toFixed(2)} to ${max.toFixed(2)})`,
      isReached: ms <= MUST_MS,
      values: { ms, leastMs: min, mostMs: max },
    },
  ]);
}
