/**
 * `node dist/bench/soak.js --minutes 10`: sealed frames at full rate while keys change. Two native data
 * planes carry TCP as fast as it goes and a paced stream of counted datagrams each way; every few seconds
 * both directions get a new key. Exit status 0 only if no counted datagram was lost, no sealed frame was
 * refused and memory stayed flat.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { Interrupt } from './lib/interrupt.ts';
import { Lab } from './lib/lab.ts';
import { describeMachine, machineFacts } from './lib/machine.ts';
import { wholeFrom } from './lib/options.ts';
import { readResidentBytes } from './lib/proc.ts';
import { warmUp } from './lib/runner.ts';
import {
  SEALED_DEVICE,
  startSealedPair,
  switchKeys,
  type Drops,
  type SealedHost,
  type SealedPair,
} from './lib/sealed-host.ts';
import { renderSoak, soakFaults, type SoakHost, type SoakResult } from './lib/soak-report.ts';
import { CONTAINER_ADDRESSES, Topology, type Ends } from './lib/topology.ts';
import { flood } from './lib/udpgen.ts';
import { CONGESTION_CONTROL } from './probes/tcp.ts';

const SWITCH_MS = 5_000;
const SAMPLE_MS = 1_000;
/** Far below what the path carries beside TCP; a switch that took longer than 100 µs would show. */
const STREAM = { bytes: 512, rate: 10_000 } as const;
/** Short of the hour that the generator runs at most. */
const LONGEST_SECONDS = 3_500;

interface Options {
  readonly minutes: number;
  readonly seconds?: number;
}

/** Acts after each period until `isOver`; a failure ends it. */
async function repeat(
  periodMs: number,
  isOver: AbortSignal,
  act: () => Promise<void> | void,
): Promise<void> {
  for (;;) {
    await pause(periodMs, undefined, { signal: isOver }).catch(() => undefined);
    if (isOver.aborted) return;
    await act();
  }
}

function reversed(ends: Ends): Ends {
  const [serverAddress] = CONTAINER_ADDRESSES;
  return { ...ends, client: ends.server, server: ends.client, serverAddress };
}

/** Runs all loads to their end; the first failure stops waiting for the others. */
async function load(
  ends: Ends,
  seconds: number,
): Promise<Pick<SoakResult, 'streams' | 'tcpBitsPerSecond'>> {
  const [tcp, there, back] = await Promise.all([
    ends.client.iperfTo(ends.server, {
      ...{ address: ends.serverAddress, seconds },
      extra: ['-C', CONGESTION_CONTROL],
    }),
    flood(ends, { ...STREAM, seconds }),
    flood(reversed(ends), { ...STREAM, seconds }),
  ]);
  return {
    tcpBitsPerSecond: tcp.bitsPerSecond,
    streams: [
      { name: 'a to b', ...there },
      { name: 'b to a', ...back },
    ],
  };
}

interface LinkStatistics {
  readonly stats64: { readonly tx: { readonly dropped: number } };
}

/** Frames for the data plane that found the TAP's queue full. */
async function readTapDrops({ host }: SealedHost): Promise<number> {
  const links = await host.namespace.ipJson(`-s link show dev ${SEALED_DEVICE}`);
  return (links as readonly LinkStatistics[])[0]?.stats64.tx.dropped ?? 0;
}

function dropsSince(before: Drops, now: Drops): Partial<Drops> {
  return Object.fromEntries(
    Object.entries(now).map(([reason, count]) => [reason, count - before[reason as keyof Drops]]),
  );
}

async function describeHost(
  name: string,
  host: SealedHost,
  before: Drops,
  residentBytes: readonly number[],
): Promise<SoakHost> {
  const drops = dropsSince(before, await host.drops());
  return { name, drops, tapDrops: await readTapDrops(host), residentBytes };
}

async function soak({ ends, hosts }: SealedPair, seconds: number): Promise<SoakResult> {
  const [a, b] = hosts;
  const before = [await a.drops(), await b.drops()] as const;
  const memory: readonly [number[], number[]] = [[], []];
  let epoch = 0;
  const over = new AbortController();
  const [carried] = await Promise.all([
    load(ends, seconds).finally(() => over.abort()),
    repeat(SWITCH_MS, over.signal, () => switchKeys(hosts, ++epoch)),
    repeat(SAMPLE_MS, over.signal, () => {
      memory[0].push(readResidentBytes(a.pid));
      memory[1].push(readResidentBytes(b.pid));
    }),
  ]);
  return {
    ...{ ...carried, seconds, switches: epoch },
    hosts: [
      await describeHost('a', a, before[0], memory[0]),
      await describeHost('b', b, before[1], memory[1]),
    ],
  };
}

async function main(options: Options): Promise<void> {
  const seconds = options.seconds ?? options.minutes * 60;
  const interrupt = new Interrupt();
  const lab = new Lab('soak');
  try {
    const period = SWITCH_MS / 1000;
    const plan = `${seconds} s at full rate, keys switched every ${period} s`;
    console.log(
      `## Weft soak, sealed frames: ${plan}\n\n${describeMachine(await machineFacts())}\n`,
    );
    const pair = await startSealedPair(await Topology.build(lab, 'offload'));
    await warmUp(pair.ends);
    const result = await soak(pair, seconds);
    console.log(renderSoak(result));
    process.exitCode = soakFaults(result).length === 0 ? 0 : 1;
  } catch (error) {
    if (interrupt.exitStatus === undefined) console.error(`soak: ${(error as Error).message}`);
    process.exitCode = interrupt.exitStatus ?? 1;
  } finally {
    await lab.destroy();
  }
}

const program = new Command('soak')
  .description('Carries sealed frames at full rate while keys change; fails if one is lost to it.')
  .option('--minutes <n>', 'how long', wholeFrom(1, Math.floor(LONGEST_SECONDS / 60)), 10)
  .option('--seconds <n>', 'how long, in place of --minutes', wholeFrom(1, LONGEST_SECONDS));
program.parse();
await main(program.opts<Options>());
