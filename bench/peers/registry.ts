import type { Contender } from '../contenders/contender.ts';

/** Other overlays from Debian's packages, measured only when asked for. */
export const PEERS: readonly Contender[] = [];
