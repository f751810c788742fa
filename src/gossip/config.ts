import { AppError } from '../base/errors.ts';
import { asMillis, type Millis } from '../base/types.ts';

/**
 * Every knob of the gossip. Spans are milliseconds. Where a formula speaks of N, it means the members
 * that are alive or suspect, this host included.
 */
export interface GossipConfig {
  /**
   * One member is probed per interval; each member is probed once per interval, and once in N - 1
   * intervals by each other (see `ProbeOrder`). Costs about 82 bytes of UDP payload and two datagrams
   * per interval. All hosts of a mesh should have the same. Range 100 to 60000.
   */
  readonly probeInterval: Millis;
  /**
   * Silence after which helpers are asked, and after which a late timer means that this host stood
   * still. At least the 99th percentile of the round-trip time. Range 10 to 45 % of `probeInterval`:
   * the helpers' answers must arrive before the interval ends.
   */
  readonly probeTimeout: Millis;
  /** Helpers asked for an indirect probe. Range 0 to 16. */
  readonly indirectProbes: number;

  /**
   * Suspicion lasts at least `suspicionProbes * probeInterval + 2 * gossipInterval *
   * ceil(log N / log(gossipFanout + 1))`: time to be seen alive by other probes, and for the
   * accusation to reach the suspect and its answer to come back. Range 1 to 20.
   */
  readonly suspicionProbes: number;
  /** Without confirmations suspicion lasts this many times longer. Range 1 to 10. */
  readonly suspicionMaxFactor: number;
  /** Independent accusers (beyond the first) that bring it down to the least. Range 0 to 8. */
  readonly suspicionConfirmations: number;
  /** Greatest local-health score; probe interval and timeout are stretched by (score + 1). Range 0 to 8. */
  readonly awarenessMax: number;

  /** From one round of gossip to the next while there is something to tell. Range 20 to 5000. */
  readonly gossipInterval: Millis;
  /** From news arriving at an idle host to its first round: news that comes together leaves together. Range 0 to `gossipInterval`. */
  readonly gossipDelay: Millis;
  /** Members told per round. Range 1 to 16. */
  readonly gossipFanout: number;
  /** Datagrams a member may be sent in one round when much is queued. Range 1 to 16. */
  readonly gossipBurst: number;
  /** Each broadcast is sent `retransmitFactor * ceil(log10(N + 1))` times by each host. Range 1 to 10. */
  readonly retransmitFactor: number;
  /**
   * For this long the dead are still told the news, so that one who lives can refute. Longer than any
   * round trip and pause of a process. Range 0 to 3600000.
   */
  readonly gossipToDead: Millis;

  /**
   * Mean span between exchanges with a random member; `ceil(log2(N / 32)) + 1` times longer where N is
   * over 32. Range 1000 to 3600000.
   */
  readonly pushPullInterval: Millis;
  /** Longest wait for one exchange over TCP: several round trips, and what 16 MiB take. Range 100 to 300000. */
  readonly exchangeTimeout: Millis;
  /** First wait before lost members and seeds are called again; doubles up to `rejoinMax`, for ever. Range 100 to 60000. */
  readonly rejoinMin: Millis;
  /**
   * Longest wait between calls: a mesh that was cut in two finds together within about this span. Range
   * `rejoinMin` to 3600000.
   */
  readonly rejoinMax: Millis;
  /**
   * Lost members and seeds called at a time. Where N is over 32 each call is made with the chance 32/N,
   * so that one lost host is not called more often by a larger mesh. Range 1 to 16.
   */
  readonly rejoinTargets: number;
  /**
   * How long the dead and the left are remembered; room for newcomers is made earlier by the oldest of
   * them. The addresses of the last 64 dead are called for ever. Range `gossipToDead` to 365 days.
   */
  readonly deadRetention: Millis;

  /** Largest datagram sent. Must pass the underlay unfragmented. Range 1200 to 8192. */
  readonly datagramBytes: number;
  /**
   * Tombstones older than this are collected. Of a host that comes back after half of it or more, the
   * others delete what they deleted meanwhile once again; two halves of a mesh that were cut apart for longer bring
   * back to each other what one of them deleted. Four times the greatest skew of clocks or more. Range
   * 1 hour to 365 days.
   */
  readonly tombstoneRetention: Millis;
  /** Rows stamped further ahead of this host's wall clock are refused. Must exceed any honest skew. Range 1000 to 365 days. */
  readonly clockAheadMax: Millis;
  /** Most members kept, the dead included. More are refused. Range 2 to 10^5. */
  readonly membersMax: number;
  /** Most rows kept, tombstones included. More are refused. Range 1 to 10^7. */
  readonly rowsMax: number;
  /** Most rows of one author kept, tombstones included. More are refused. Range 1 to `rowsMax`. */
  readonly rowsPerAuthorMax: number;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

const lan: GossipConfig = {
  probeInterval: asMillis(750),
  probeTimeout: asMillis(300),
  indirectProbes: 3,
  suspicionProbes: 3,
  suspicionMaxFactor: 2,
  suspicionConfirmations: 2,
  awarenessMax: 8,
  gossipInterval: asMillis(100),
  gossipDelay: asMillis(20),
  gossipFanout: 3,
  gossipBurst: 4,
  retransmitFactor: 6,
  gossipToDead: asMillis(30 * SECOND),
  pushPullInterval: asMillis(30 * SECOND),
  exchangeTimeout: asMillis(5 * SECOND),
  rejoinMin: asMillis(SECOND),
  rejoinMax: asMillis(8 * SECOND),
  rejoinTargets: 3,
  deadRetention: asMillis(7 * DAY),
  datagramBytes: 1400,
  tombstoneRetention: asMillis(7 * DAY),
  clockAheadMax: asMillis(DAY),
  membersMax: 20_000,
  rowsMax: 1_000_000,
  rowsPerAuthorMax: 100_000,
};

/** `lan`: one site, the default. `wan`: hosts far apart. `local`: one machine, for demos and tests. */
export const presets = {
  lan,
  wan: {
    ...lan,
    probeInterval: asMillis(3 * SECOND),
    probeTimeout: asMillis(1200),
    suspicionProbes: 2,
    gossipInterval: asMillis(500),
    gossipDelay: asMillis(50),
    gossipFanout: 4,
    gossipToDead: asMillis(60 * SECOND),
    pushPullInterval: asMillis(60 * SECOND),
    exchangeTimeout: asMillis(20 * SECOND),
    rejoinMax: asMillis(20 * SECOND),
  },
  local: {
    ...lan,
    probeInterval: asMillis(500),
    probeTimeout: asMillis(150),
    gossipInterval: asMillis(100),
    gossipDelay: asMillis(10),
    pushPullInterval: asMillis(15 * SECOND),
    exchangeTimeout: asMillis(SECOND),
    rejoinMin: asMillis(500),
    rejoinMax: asMillis(2 * SECOND),
  },
} as const satisfies Record<string, GossipConfig>;

/** Inclusive range of each option; a bound may depend on another option. */
function ranges(config: GossipConfig): Record<keyof GossipConfig, readonly [number, number]> {
  return {
    probeInterval: [100, 60 * SECOND],
    probeTimeout: [10, config.probeInterval * 0.45],
    indirectProbes: [0, 16],
    suspicionProbes: [1, 20],
    suspicionMaxFactor: [1, 10],
    suspicionConfirmations: [0, 8],
    awarenessMax: [0, 8],
    gossipInterval: [20, 5 * SECOND],
    gossipDelay: [0, config.gossipInterval],
    gossipFanout: [1, 16],
    gossipBurst: [1, 16],
    retransmitFactor: [1, 10],
    gossipToDead: [0, HOUR],
    pushPullInterval: [SECOND, HOUR],
    exchangeTimeout: [100, 5 * 60 * SECOND],
    rejoinMin: [100, 60 * SECOND],
    rejoinMax: [config.rejoinMin, HOUR],
    rejoinTargets: [1, 16],
    deadRetention: [config.gossipToDead, 365 * DAY],
    datagramBytes: [1200, 8192],
    tombstoneRetention: [HOUR, 365 * DAY],
    clockAheadMax: [SECOND, 365 * DAY],
    membersMax: [2, 10 ** 5],
    rowsMax: [1, 10 ** 7],
    rowsPerAuthorMax: [1, config.rowsMax],
  };
}

/** Refuses a configuration that can't work: E_CONFIG names the option, its value and its range. */
export function verify(config: GossipConfig): void {
  for (const [name, [least, most]] of Object.entries(ranges(config))) {
    const value = config[name as keyof GossipConfig];
    if (value >= least && value <= most) continue;
    throw new AppError(
      'E_CONFIG',
      `The gossip option ${name} is ${value}; set it to a number from ${least} to ${most}.`,
    );
  }
}
