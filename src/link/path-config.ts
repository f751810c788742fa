/** Times in milliseconds. */
export interface PathConfig {
  /** How long after its last frame a pair counts as active. */
  readonly activeFor: number;
  /**
   * Between probes of the path in use: while the pair is active, and while it is idle. With many active
   * pairs the former grows by `activeShare` for each, so that all of them together stay cheap.
   */
  readonly currentActive: number;
  readonly activeShare: number;
  readonly currentIdle: number;
  /** Between probes of each other path that answers; the latter once for each of them. */
  readonly otherActive: number;
  readonly otherIdle: number;
  /** Between probes of a path that did answer once and no longer does, while the pair is active. */
  readonly lostActive: number;
  /** Between the first probes of a path; doubles from `missesToDown` on up to `otherIdle`, or `huntMost` while the pair is active and there is no direct path. */
  readonly hunt: number;
  readonly huntMost: number;
  /**
   * Between probes of every path to a host that no path leads to: whichever comes back is taken at once.
   * With many such hosts it grows by `cutOffShare` for each.
   */
  readonly cutOff: number;
  readonly cutOffShare: number;
  /** A probe that came by a path which does not answer has that asked, unless it was so shortly before. */
  readonly reviveAfter: number;
  /** Probes without an answer, in a row, after which a path is down. */
  readonly missesToDown: number;
  /** One more for a path that lost this part of its probes before. */
  readonly lossyFrom: number;
  /** Wait for an answer: the round trip and four times its jitter, within these bounds. */
  readonly timeoutLeast: number;
  readonly timeoutMost: number;
  /** A path that came up is not changed to for the sake of being better until it has answered so long, so often. */
  readonly settleFor: number;
  readonly settleAnswers: number;
  /** Handled later than this, a deadline says more of this host than of the path, and is put off. */
  readonly stall: number;
  /** How long a host that probed this one by a relay is probed in turn: both ends open their NATs. */
  readonly courtesyFor: number;
}

export const PATH_DEFAULTS: PathConfig = {
  activeFor: 5_000,
  currentActive: 250,
  activeShare: 5,
  currentIdle: 25_000,
  otherActive: 2_000,
  otherIdle: 60_000,
  lostActive: 1_000,
  hunt: 250,
  huntMost: 5_000,
  cutOff: 300,
  cutOffShare: 5,
  reviveAfter: 20,
  missesToDown: 3,
  lossyFrom: 0.03,
  timeoutLeast: 200,
  timeoutMost: 1_000,
  settleFor: 3_000,
  settleAnswers: 3,
  stall: 100,
  courtesyFor: 30_000,
};
