/** How often links change their keys, in seconds. */
export const REKEY_SECONDS = { min: 10, max: 120, default: 120 } as const;

/** Times in milliseconds. */
export interface SessionConfig {
  /**
   * Age at which whoever began a session begins the next one; up to `rekeySpread` earlier, so that sessions
   * that began together do not all end together. The other host does so `rekeyGrace` later, if need be.
   */
  readonly rekeyAfter: number;
  readonly rekeySpread: number;
  readonly rekeyGrace: number;
  /**
   * Age at which a key seals nothing more, whether or not there is another; above `rekeyAfter + rekeyGrace`.
   * It opens what comes for `lateFor` longer: the other end's session may have begun later, and frames are late.
   */
  readonly rejectAfter: number;
  readonly lateFor: number;
  /** Wait before an initiation without an answer is sent anew; doubles up to `retryMost`. */
  readonly retryFirst: number;
  readonly retryMost: number;
  /** How long an answer waits for its confirmation before this host begins a handshake itself. */
  readonly confirmWithin: number;
  /** Two initiations that cross within this time count as a collision: the lower id's goes on. */
  readonly collisionWithin: number;
  /** Initiations with a right mac1 that are worked on without a cookie. */
  readonly unproven: { readonly rate: number; readonly burst: number };
  /** The same, with a cookie. */
  readonly proven: { readonly rate: number; readonly burst: number };
  /** Cookies that are sent to who has none. */
  readonly cookieReplies: { readonly rate: number; readonly burst: number };
}

export function sessionConfig(rekeySeconds: number): SessionConfig {
  const rekeyAfter = rekeySeconds * 1000;
  return {
    rekeyAfter,
    rekeySpread: rekeyAfter / 12,
    rekeyGrace: rekeyAfter / 4,
    rejectAfter: rekeyAfter * 1.5,
    lateFor: 10_000,
    retryFirst: 250,
    retryMost: 5_000,
    confirmWithin: Math.min(10_000, rekeyAfter / 4),
    collisionWithin: 1_000,
    unproven: { rate: 50, burst: 100 },
    proven: { rate: 300, burst: 600 },
    cookieReplies: { rate: 100, burst: 200 },
  };
}

export const SESSION_DEFAULTS = sessionConfig(REKEY_SECONDS.default);
