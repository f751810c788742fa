import { MIN_PATH_MTU, type IpFamily } from '../encap/mtu.ts';

/**
 * MTUs that links are known to have: probed first, so that most searches end after one round. Loopback
 * and jumbo frames, 4352 of FDDI, Ethernet, PPPoE (RFC 2516), tunnels of 20 to 100 bytes, clouds, 1280 of
 * IPv6, 1006 of SLIP, 576 of RFC 791.
 */
export const COMMON_MTUS: readonly number[] = [
  ...[552, 576, 600, 1006, 1200, 1280, 1300, 1350, 1380, 1400, 1420, 1450, 1460, 1480, 1492, 1500],
  ...[2304, 4352, 8000, 8900, 9000, 9001, 9216, 16_384, 65_520, 65_535],
];

/** Names of RFC 8899 §5.1 in brackets. Times in milliseconds. */
export interface PathMtuConfig {
  /** No result is below it (MIN_PLPMTU). */
  readonly floor: number;
  /**
   * Probes of one size that must be lost before the size counts as too large, each while a smaller probe
   * of the same burst arrived (MAX_PROBES; the RFC has 3). One more makes a false black hole five
   * times rarer where a tenth of all packets is lost each way.
   */
  readonly maxProbes: number;
  /** The same of a larger size that is only tried to see whether the path has grown. */
  readonly raiseProbes: number;
  /** Wait for an answer before a round trip was measured, and its bounds afterwards (PROBE_TIMER). */
  readonly waitFirst: number;
  readonly waitLeast: number;
  readonly waitMost: number;
  /** Bursts without any answer after which nothing is said of the path's MTU, and what waits then grow to. */
  readonly silentBursts: number;
  readonly silentWaitMost: number;
  /** Least time between confirmations of the MTU while frames are sent (CONFIRMATION_TIMER). */
  readonly confirmEvery: number;
  /** First wait before a larger MTU is tried; doubles with each failure (PMTU_RAISE_TIMER). */
  readonly raiseFirst: number;
  /** The least that such waits grow to. */
  readonly raiseMost: number;
  /** Bytes a second that a path without traffic may cost in one direction, for each of the two timers. */
  readonly idleBytesPerSecond: number;
}

export const pathMtuConfig = (family: IpFamily): PathMtuConfig => ({
  floor: MIN_PATH_MTU[family],
  maxProbes: 4,
  raiseProbes: 2,
  waitFirst: 1000,
  waitLeast: 200,
  waitMost: 2000,
  silentBursts: 4,
  silentWaitMost: 30_000,
  confirmEvery: 1000,
  raiseFirst: 10_000,
  raiseMost: 600_000,
  idleBytesPerSecond: 4,
});
