import type { GossipConfig } from './config.ts';
import { asMillis, type Millis, type PeerId } from '../base/types.ts';

type SuspicionConfig = Pick<
  GossipConfig,
  | 'probeInterval'
  | 'gossipInterval'
  | 'gossipFanout'
  | 'suspicionProbes'
  | 'suspicionMaxFactor'
  | 'suspicionConfirmations'
>;

/** Least time a suspect is given, with `hosts` (this one included) in the mesh: see `suspicionProbes`. */
export function leastSuspicion(config: SuspicionConfig, hosts: number): Millis {
  const rounds = Math.ceil(Math.log(Math.max(2, hosts)) / Math.log(config.gossipFanout + 1));
  return asMillis(
    config.suspicionProbes * config.probeInterval + 2 * config.gossipInterval * rounds,
  );
}

/**
 * Further accusers worth waiting for. With fewer than `suspicionConfirmations` hosts besides the
 * accuser and the suspect nobody could ever confirm in full, so nothing is waited for.
 */
export function confirmationsWanted(config: SuspicionConfig, hosts: number): number {
  const others = hosts - 2;
  return others < config.suspicionConfirmations ? 0 : config.suspicionConfirmations;
}

/**
 * Time a suspect has from the first accusation on, after `confirmations` of `wanted` (Lifeguard
 * §IV.B): from `most` down to `least`, the first confirmation counting most.
 */
export function suspicionSpan(
  least: number,
  most: number,
  confirmations: number,
  wanted: number,
): Millis {
  if (wanted === 0) return asMillis(least);
  const progress = Math.log(Math.min(confirmations, wanted) + 1) / Math.log(wanted + 1);
  return asMillis(Math.max(least, most - progress * (most - least)));
}

/** One running suspicion: who accuses, and until when the suspect may answer. */
export class Suspicion {
  readonly #accusers: Set<PeerId>;
  readonly #startedAt: Millis;
  readonly #least: Millis;
  readonly #most: number;
  readonly #wanted: number;
  #isCondemned = false;

  constructor(config: SuspicionConfig, hosts: number, accuser: PeerId, now: Millis) {
    this.#accusers = new Set([accuser]);
    this.#startedAt = now;
    this.#least = leastSuspicion(config, hosts);
    this.#most = this.#least * config.suspicionMaxFactor;
    this.#wanted = confirmationsWanted(config, hosts);
  }

  /** Counts an accuser; true if it is a new one that brings the deadline nearer. */
  confirm(accuser: PeerId): boolean {
    if (this.#accusers.size > this.#wanted || this.#accusers.has(accuser)) return false;
    this.#accusers.add(accuser);
    return true;
  }

  /** Somebody holds the suspect dead: as if all who are waited for had accused it. */
  condemn(): void {
    this.#isCondemned = true;
  }

  get deadline(): Millis {
    if (this.#isCondemned) return asMillis(this.#startedAt + this.#least);
    const span = suspicionSpan(this.#least, this.#most, this.#accusers.size - 1, this.#wanted);
    return asMillis(this.#startedAt + span);
  }
}
