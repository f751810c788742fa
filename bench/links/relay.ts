import type { Lab } from '../lib/lab.ts';
import { inTurn, MUST_RATIO, relayedPair } from '../lib/relay-hop.ts';
import { warmUp } from '../lib/runner.ts';
import { median } from '../lib/statistics.ts';
import type { Figure } from './figure.ts';

const TURNS = { rounds: 3, seconds: 2 } as const;

/** Two native data planes alone; `node dist/bench/relay.js` does the same at length. */
export async function measureRelay(lab: Lab): Promise<Figure[]> {
  const relayed = await relayedPair(lab);
  await warmUp(relayed.pair.ends);
  const { direct, byRelay } = await inTurn(relayed, 1, TURNS);
  const [directGbps, relayGbps] = [median(direct), median(byRelay)];
  const ratio = relayGbps / directGbps;
  return [
    {
      what: "one relay hop's throughput, sealed",
      must: `≥ ${MUST_RATIO} × direct`,
      seen: `${ratio.toFixed(2)} × (${relayGbps.toFixed(2)} of ${directGbps.toFixed(2)} Gb/s)`,
      isReached: ratio >= MUST_RATIO,
      values: { ratio, relayGbps, directGbps },
    },
  ];
}
