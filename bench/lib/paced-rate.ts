/** A steady UDP load, and the search for the rate that kernel VXLAN carries without loss. */
import type { Contender } from '../contenders/contender.ts';
import { Lab } from './lab.ts';
import type { Progress } from './progress.ts';
import { warmUp } from './runner.ts';
import { Topology, type Ends, type UnderlayMode } from './topology.ts';

const PACED_BYTES = 1400;
const UDP_IP_HEADERS = 28;

export interface PacedReport {
  /** Payload, as the sender managed to send it. */
  readonly sentMbps: number;
  readonly lossPercent: number;
}

interface UdpTotals {
  readonly end: {
    readonly sum: { readonly bits_per_second: number; readonly lost_percent: number };
  };
}

/** iperf3's UDP from client to server at a rate; 100 % lost if nothing arrived. */
export async function sendPaced(ends: Ends, mbps: number, seconds: number): Promise<PacedReport> {
  const bytes = Math.min(PACED_BYTES, ends.mtu - UDP_IP_HEADERS);
  const report = await ends.client.iperfTo(ends.server, {
    address: ends.serverAddress,
    seconds,
    extra: ['-u', '-b', `${mbps}M`, '-l', String(bytes)],
  });
  const { bits_per_second, lost_percent } = (report.raw as UdpTotals).end.sum;
  return { sentMbps: bits_per_second / 1e6, lossPercent: lost_percent };
}

/** A datagram in a thousand: a processor taken away for a moment is no sign of a rate too high. */
const NO_LOSS_PERCENT = 0.1;
/** A sender that can't offer the rate proves nothing of the path. */
const OFFERED_SHARE = 0.97;

export function isCarried(mbps: number, { sentMbps, lossPercent }: PacedReport): boolean {
  return lossPercent <= NO_LOSS_PERCENT && sentMbps >= OFFERED_SHARE * mbps;
}

const FIRST_MBPS = 250;
const MOST_MBPS = 64_000;
const HALVINGS = 3;

/** The highest rate that `carries`, by doubling and then halving the rest: at most an eighth below. */
export async function highestRate(carries: (mbps: number) => Promise<boolean>): Promise<number> {
  let known = 0;
  let failed = FIRST_MBPS;
  while (failed <= MOST_MBPS && (await carries(failed))) {
    known = failed;
    failed *= 2;
  }
  if (known === 0) throw new Error(`not even ${FIRST_MBPS} Mb/s of paced UDP arrived without loss`);
  if (known === MOST_MBPS) return known;
  for (let halving = 0; halving < HALVINGS; halving++) {
    const between = Math.round((known + failed) / 2);
    if (await carries(between)) known = between;
    else failed = between;
  }
  return known;
}

const TRY_SECONDS = 2;

/** Brings `contender` up on a topology of its own and finds the rate. */
export async function findPacedMbps(
  contender: Contender,
  underlay: UnderlayMode,
  progress: Progress,
): Promise<number> {
  const lab = new Lab('bench');
  try {
    const running = await contender.up(await Topology.build(lab, underlay));
    await warmUp(running.ends);
    const carriesOnce = async (mbps: number): Promise<boolean> => {
      progress.step(`what ${contender.name} carries without loss: ${mbps} Mb/s`);
      return isCarried(mbps, await sendPaced(running.ends, mbps, TRY_SECONDS));
    };
    // A second try, for the machine may have been busy with something else.
    return await highestRate(async (mbps) => (await carriesOnce(mbps)) || carriesOnce(mbps));
  } finally {
    await lab.destroy();
  }
}
