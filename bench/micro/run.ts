/** `npm run bench -- micro`: runs the suites in this folder and prints what one operation costs. */
import { writeFileSync } from 'node:fs';
import { accountCpu } from '../lib/cpu.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { markdownTable } from '../lib/markdown.ts';
import type { MicroOptions } from '../lib/options.ts';
import { FOREIGN_LIMIT } from '../lib/result.ts';
import { renderLatencies, type LatencyResult } from './latency.ts';
import type { MicroResult } from './measure.ts';
import { LATENCY_SUITES, SUITES } from './suites.ts';

const COLUMNS = [
  { title: 'operation', align: 'left' },
  { title: 'ns/operation', align: 'right' },
  { title: 'spread', align: 'right' },
  { title: 'heap B/operation', align: 'right' },
] as const;

/** Under a nanosecond nothing is told apart; under a thousandth of a byte nothing is kept. */
export function renderMicro(results: readonly MicroResult[]): string {
  const rows = results.map(({ name, nsPerOperation: { median, min, max }, bytesPerOperation }) => [
    name,
    median.toFixed(1),
    `${min.toFixed(1)}–${max.toFixed(1)}`,
    bytesPerOperation.toFixed(3),
  ]);
  return markdownTable(COLUMNS, rows);
}

async function runLatencies(): Promise<LatencyResult[]> {
  const latencies: LatencyResult[] = [];
  for (const suite of LATENCY_SUITES) latencies.push(...(await suite()));
  return latencies;
}

export async function runMicro(options: MicroOptions): Promise<void> {
  const facts = await machineFacts();
  console.log(`## Weft micro-benchmarks\n\n${describeMachine(facts)}\n`);
  const { result, use } = await accountCpu([], async () => ({
    results: SUITES.flatMap((suite) => suite()),
    latencies: await runLatencies(),
  }));
  const { results, latencies } = result;
  console.log(renderMicro(results));
  console.log(`\n${renderLatencies(latencies)}`);
  if (use.foreignShare > FOREIGN_LIMIT) {
    const share = (100 * use.foreignShare).toFixed(0);
    console.log(
      `\nOther programs used ${share} % of the machine meanwhile: run this again on a quiet one.`,
    );
  }
  if (options.json === undefined) return;
  const { foreignShare } = use;
  const content = { machine: facts, foreignShare, results, latencies };
  writeFileSync(options.json, `${JSON.stringify(content, undefined, 1)}\n`);
}
