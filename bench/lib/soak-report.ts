/** What a soak found, whether that is good enough, and how it reads. */
import { markdownTable } from './markdown.ts';
import type { Drops } from './sealed-host.ts';
import { median } from './statistics.ts';

/** A paced stream whose datagrams were counted at both ends. */
export interface SoakStream {
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  readonly reordered: number;
}

/** One of the two hosts. */
export interface SoakHost {
  readonly name: string;
  /** Counted during the soak. */
  readonly drops: Partial<Drops>;
  /** Frames that the kernel dropped since the device was made, because the TAP's queue was full. */
  readonly tapDrops: number;
  /** Resident memory of its process, evenly spaced in time. */
  readonly residentBytes: readonly number[];
}

export interface SoakResult {
  readonly seconds: number;
  readonly tcpBitsPerSecond: number;
  /** Key switches in each direction. */
  readonly switches: number;
  readonly streams: readonly SoakStream[];
  readonly hosts: readonly SoakHost[];
}

/** Growth of resident memory beyond which it is not flat: some pages more than Node's own heap moves by. */
export const GROWTH_LIMIT_BYTES = 4 * 2 ** 20;

const MIB = 2 ** 20;

/**
 * How much a process grew: the median of the last quarter of the samples less that of the second. The
 * first quarter is left out, as pages are touched for the first time then.
 */
export function growthBytes(samples: readonly number[]): number {
  const quarter = Math.floor(samples.length / 4);
  if (quarter === 0) return 0;
  return median(samples.slice(-quarter)) - median(samples.slice(quarter, 2 * quarter));
}

function nonZero(drops: Partial<Drops>): (readonly [string, number])[] {
  return Object.entries(drops).filter(([, count]) => count > 0);
}

function hostFaults({ name, drops, residentBytes }: SoakHost): string[] {
  const growth = growthBytes(residentBytes);
  return [
    ...nonZero(drops)
      .filter(([reason]) => reason.startsWith('sealed_'))
      .map(([reason, count]) => `host ${name} dropped ${count} frames as ${reason}`),
    ...(growth > GROWTH_LIMIT_BYTES
      ? [`host ${name} grew by ${(growth / MIB).toFixed(1)} MiB of resident memory`]
      : []),
  ];
}

function streamFaults({ name, sent, received }: SoakStream): string[] {
  if (received === 0) return [`the stream ${name} did not pass`];
  return received === sent
    ? []
    : [`the stream ${name} lost ${sent - received} of ${sent} datagrams`];
}

/** Why the soak failed; empty if it passed. */
export function soakFaults({ switches, tcpBitsPerSecond, streams, hosts }: SoakResult): string[] {
  return [
    ...(switches === 0 ? ['no key was switched: it was too short'] : []),
    ...(tcpBitsPerSecond === 0 ? ['TCP did not pass'] : []),
    ...streams.flatMap(streamFaults),
    ...hosts.flatMap(hostFaults),
  ];
}

const STREAM_COLUMNS = [
  { title: 'UDP stream', align: 'left' },
  { title: 'sent', align: 'right' },
  { title: 'lost', align: 'right' },
  { title: 'reordered', align: 'right' },
] as const;

const HOST_COLUMNS = [
  { title: 'host', align: 'left' },
  { title: 'RSS first MiB', align: 'right' },
  { title: 'least', align: 'right' },
  { title: 'most', align: 'right' },
  { title: 'last', align: 'right' },
  { title: 'growth', align: 'right' },
  { title: 'TAP queue drops', align: 'right' },
  { title: 'other drops', align: 'left' },
] as const;

function hostRow({ name, drops, tapDrops, residentBytes: rss }: SoakHost): string[] {
  const sizes = [
    rss[0] ?? 0,
    Math.min(...rss),
    Math.max(...rss),
    rss.at(-1) ?? 0,
    growthBytes(rss),
  ];
  const counted = nonZero(drops).map(([reason, count]) => `${reason} ${count}`);
  return [
    name,
    ...sizes.map((bytes) => (bytes / MIB).toFixed(1)),
    String(tapDrops),
    counted.join(', ') || 'none',
  ];
}

export function renderSoak(result: SoakResult): string {
  const { seconds, switches, tcpBitsPerSecond, streams, hosts } = result;
  const gbps = (tcpBitsPerSecond / 1e9).toFixed(2);
  const streamRows = streams.map(({ name, sent, received, reordered }) =>
    [name, sent, sent - received, reordered].map(String),
  );
  const faults = soakFaults(result);
  return [
    `${seconds} s, ${switches} key switches each way, TCP ${gbps} Gb/s beside the streams`,
    markdownTable(STREAM_COLUMNS, streamRows),
    markdownTable(HOST_COLUMNS, hosts.map(hostRow)),
    faults.length === 0 ? 'passed' : `FAILED:\n${faults.map((fault) => `- ${fault}`).join('\n')}`,
  ].join('\n\n');
}
