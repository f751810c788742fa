/**
 * `node dist/bench/relay.js --rounds 5`: what a relay hop costs sealed frames. Three hosts on a switch, TCP
 * between containers of two of them, in turn straight and by the third, which passes on what it can't read.
 * Exit status 0 only if the median by the relay is at least 0.4 of the median without.
 */
import { Command } from 'commander';
import { Interrupt } from './lib/interrupt.ts';
import { Lab } from './lib/lab.ts';
import { describeMachine, machineFacts } from './lib/machine.ts';
import { wholeFrom } from './lib/options.ts';
import { warmUp } from './lib/runner.ts';
import { inTurn, MUST_RATIO, relayedPair, type Relayed } from './lib/relay-hop.ts';
import { summarize, type Summary } from './lib/statistics.ts';

const STREAMS = [1, 4];

interface Options {
  readonly rounds: number;
  readonly seconds: number;
}

function written({ median, min, max }: Summary): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

/** @returns whether the ratio is reached */
async function compare(relayed: Relayed, streams: number, options: Options): Promise<boolean> {
  const { direct, byRelay } = await inTurn(relayed, streams, options);
  const [straight, relay] = [summarize(direct), summarize(byRelay)];
  if (straight === undefined || relay === undefined) throw new Error('No round was measured.');
  const ratio = relay.median / straight.median;
  console.log(
    `| TCP ×${streams} Gb/s | ${written(straight)} | ${written(relay)} | ${ratio.toFixed(2)} |`,
  );
  return ratio >= MUST_RATIO;
}

function nonZero(drops: Readonly<Record<string, number>>): string {
  const some = Object.entries(drops).filter(([, count]) => count > 0);
  return some.length === 0 ? 'none' : some.map(([name, count]) => `${name} ${count}`).join(', ');
}

async function main(options: Options): Promise<void> {
  const interrupt = new Interrupt();
  const lab = new Lab('relay');
  try {
    console.log(`## A relay hop, sealed\n\n${describeMachine(await machineFacts())}\n`);
    const relayed = await relayedPair(lab);
    await warmUp(relayed.pair.ends);
    console.log('| | direct, median (range) | one relay | ratio |\n|---|--:|--:|--:|');
    let isReached = true;
    for (const streams of STREAMS) {
      isReached = (await compare(relayed, streams, options)) && isReached;
    }
    const [passed, drops] = [await relayed.relay.relayed(), await relayed.relay.drops()];
    console.log(`\nThe relay passed on ${passed} datagrams; its drops: ${nonZero(drops)}.`);
    process.exitCode = isReached && passed > 0 ? 0 : 1;
  } catch (error) {
    if (interrupt.exitStatus === undefined) console.error(`relay: ${(error as Error).message}`);
    process.exitCode = interrupt.exitStatus ?? 1;
  } finally {
    await lab.destroy();
  }
}

const program = new Command('relay')
  .description('Measures sealed TCP straight and by one relay, in turn.')
  .option('--rounds <n>', 'rounds of each', wholeFrom(1, 100), 5)
  .option('--seconds <n>', 'of each measurement', wholeFrom(1, 60), 2);
program.parse();
await main(program.opts<Options>());
