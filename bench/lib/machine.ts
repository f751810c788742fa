/** What a reader must know of the machine to judge a figure. */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { packageRoot, packageVersion } from '../../src/base/package-root.ts';
import { tryRun } from './process.ts';

export interface MachineFacts {
  readonly kernel: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryGib: number;
  readonly node: string;
  readonly iperf3: string;
  /** The machine's default; the bench's own TCP runs pin theirs. */
  readonly congestionControl: string;
  readonly weft: string;
  /** The commit measured, with `-dirty` if files had been changed; empty outside a git checkout. */
  readonly commit: string;
  readonly date: string;
}

async function firstLine(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await tryRun(program, args).catch(() => ({ stdout: '' }));
  return stdout.split('\n')[0]?.trim() ?? '';
}

export async function machineFacts(): Promise<MachineFacts> {
  const processors = cpus();
  return {
    kernel: release(),
    processor: processors[0]?.model.trim() ?? 'unknown',
    processors: processors.length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    iperf3: (await firstLine('iperf3', ['--version'])).split(' ')[1] ?? 'unknown',
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
    weft: packageVersion,
    commit: await firstLine('git', ['-C', packageRoot, 'describe', '--always', '--dirty']),
    date: new Date().toISOString(),
  };
}

/** One line, as it stands above the tables. */
export function describeMachine(facts: MachineFacts): string {
  const { processors, processor, memoryGib, kernel, node, iperf3 } = facts;
  return `${processors} × ${processor}, ${memoryGib} GiB, Linux ${kernel}, Node ${node}, iperf3 ${iperf3}, ${facts.date.slice(0, 10)}, weft ${facts.weft} ${facts.commit}`.trim();
}
