/** `npm run bench`: overlays side by side; `npm run bench -- micro`: single operations. */
import { writeFileSync } from 'node:fs';
import type { Contender } from './contenders/contender.ts';
import { CONTENDERS } from './contenders/registry.ts';
import { Interrupt } from './lib/interrupt.ts';
import { describeMachine, machineFacts, type MachineFacts } from './lib/machine.ts';
import { benchProgram, type BenchOptions } from './lib/options.ts';
import { renderPlot } from './lib/plot.ts';
import { Progress } from './lib/progress.ts';
import { panelsOf, renderReport, type Section } from './lib/report.ts';
import { figureOf } from './lib/result.ts';
import { Runner, type Outcome, type Plan } from './lib/runner.ts';
import { runMicro } from './micro/run.ts';
import { PEERS } from './peers/registry.ts';
import { installPackages } from './peers/install.ts';
import { SECTIONS, type Probe } from './probes/probe.ts';
import { PROBES } from './probes/registry.ts';

const EVERYONE = [...CONTENDERS, ...PEERS];

/** The named ones, in the registry's order; without names all that are always at hand, and peers if asked for. */
function chooseContenders({ contenders, peers }: BenchOptions): readonly Contender[] {
  if (contenders === undefined) return peers ? EVERYONE : CONTENDERS;
  return EVERYONE.filter(({ name }) => contenders.includes(name));
}

function chooseProbes({ metrics }: BenchOptions): readonly Probe[] {
  return PROBES.filter(({ name }) => metrics?.includes(name) ?? true);
}

function sectionsOf(probes: readonly Probe[]): Section[] {
  return SECTIONS.map((title) => ({
    title,
    columns: probes.filter(({ section }) => section === title).flatMap(({ columns }) => columns),
  }));
}

function describeRun(plan: Plan, facts: MachineFacts): string {
  const { underlay, rounds, seconds, pacedMbps } = plan;
  return [
    `## Weft bench, underlay ${underlay}`,
    describeMachine(facts),
    `${rounds} interleaved rounds, ${seconds} s a load, paced UDP at ${pacedMbps} Mb/s; medians (least–most). Both hosts share this machine: compare ratios.`,
    plan.contenders.map(({ name, describe }) => `- \`${name}\`: ${describe}`).join('\n'),
  ].join('\n\n');
}

function writeJson(file: string, content: object): void {
  writeFileSync(file, `${JSON.stringify(content, undefined, 1)}\n`);
}

/** Every cell of the tables, for whoever reads the JSON with a program. */
function figuresOf(plan: Plan, { samples }: Outcome): object[] {
  const columns = plan.probes.flatMap((probe) => probe.columns);
  return plan.contenders.flatMap(({ name: contender }) =>
    columns.flatMap(({ key }) => {
      const figure = figureOf(samples, contender, key);
      return figure === undefined ? [] : [{ contender, key, ...figure }];
    }),
  );
}

function save(options: BenchOptions, plan: Plan, facts: MachineFacts, outcome: Outcome): void {
  const command = ['npm', 'run', 'bench', '--', ...process.argv.slice(2)].join(' ');
  if (options.json !== undefined) {
    const contenders = plan.contenders.map(({ name, describe }) => ({ name, describe }));
    const columns = plan.probes.flatMap((probe) => probe.columns);
    const figures = figuresOf(plan, outcome);
    writeJson(options.json, {
      ...{ command, options, machine: facts, contenders, columns, figures },
      ...outcome,
    });
  }
  if (options.plot !== undefined) {
    const panels = panelsOf(
      sectionsOf(plan.probes).flatMap(({ columns }) => columns),
      plan.contenders.map(({ name }) => name),
      outcome.samples,
    );
    const title = `Weft bench, underlay ${plan.underlay}`;
    const spread = `Medians of ${plan.rounds} interleaved rounds; whiskers from least to most.`;
    writeFileSync(options.plot, renderPlot(title, [describeMachine(facts), spread], panels));
  }
}

/** 0 only if all that could run here ran and passed traffic. */
function exitStatus({ samples, absences }: Outcome): number {
  const isBroken =
    samples.some(({ failure }) => failure !== undefined) ||
    absences.some(({ isUnavailable }) => !isUnavailable);
  return isBroken || samples.length === 0 ? 1 : 0;
}

async function runBench(options: BenchOptions, interrupt: Interrupt): Promise<void> {
  const plan: Plan = {
    ...options,
    contenders: chooseContenders(options),
    probes: chooseProbes(options),
  };
  await installPackages(plan.contenders);
  const facts = await machineFacts();
  console.log(`${describeRun(plan, facts)}\n`);
  const outcome = await new Runner(plan, new Progress(), interrupt).run();
  const names = plan.contenders.map(({ name }) => name);
  console.log(renderReport(sectionsOf(plan.probes), names, outcome.samples, outcome.absences));
  save(options, plan, facts, outcome);
  process.exitCode = exitStatus(outcome);
}

async function main(): Promise<void> {
  const interrupt = new Interrupt();
  const program = benchProgram(
    EVERYONE.map(({ name }) => name),
    PROBES.map(({ name }) => name),
    { bench: (options) => runBench(options, interrupt), micro: runMicro },
  );
  try {
    await program.parseAsync();
  } catch (error) {
    if (interrupt.exitStatus === undefined) console.error(`bench: ${String(error)}`);
    process.exit(interrupt.exitStatus ?? 1);
  }
}

await main();
