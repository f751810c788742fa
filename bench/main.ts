/** `npm run bench`: overlays side by side; `-- micro`: single operations; `-- gossip`: membership; `-- cni`, `-- docker`: containers; `-- dns`: names; `-- links`: links. */
import { writeFileSync } from 'node:fs';
import type { Contender } from './contenders/contender.ts';
import { kernelVxlan } from './contenders/kernel-vxlan.ts';
import { CONTENDERS, VARIANTS } from './contenders/registry.ts';
import { Interrupt } from './lib/interrupt.ts';
import { describeMachine, machineFacts, type MachineFacts } from './lib/machine.ts';
import { benchProgram, type BenchOptions } from './lib/options.ts';
import { findPacedMbps } from './lib/paced-rate.ts';
import { renderPlot } from './lib/plot.ts';
import { Progress } from './lib/progress.ts';
import { panelsOf, renderReport, type Section } from './lib/report.ts';
import { figureOf } from './lib/result.ts';
import { Runner, type Outcome, type Plan } from './lib/runner.ts';
import { runCni } from './cni/run.ts';
import { runDns } from './dns/run.ts';
import { runDocker } from './docker/run.ts';
import { runGossip } from './gossip/run.ts';
import { runLinks } from './links/run.ts';
import { runMicro } from './micro/run.ts';
import { PEERS } from './peers/registry.ts';
import { installPackages } from './peers/install.ts';
import { SECTIONS, type Probe } from './probes/probe.ts';
import { PROBES, USUAL_PROBES } from './probes/registry.ts';
import { udpPaced } from './probes/udp.ts';

const EVERYONE = [...CONTENDERS, ...VARIANTS, ...PEERS];

/** The named ones, or all that are always at hand; and the peers if asked for. In the registry's order. */
function chooseContenders(options: BenchOptions): readonly Contender[] {
  const named = options.contenders ?? CONTENDERS.map(({ name }) => name);
  return EVERYONE.filter(
    (contender) => named.includes(contender.name) || (options.peers && PEERS.includes(contender)),
  );
}

function chooseProbes({ metrics }: BenchOptions): readonly Probe[] {
  if (metrics === undefined) return USUAL_PROBES;
  return PROBES.filter(({ name }) => metrics.includes(name));
}

function sectionsOf(probes: readonly Probe[]): Section[] {
  return SECTIONS.map((title) => ({
    title,
    columns: probes.filter(({ section }) => section === title).flatMap(({ columns }) => columns),
  }));
}

/** The rate of the paced load is only looked for where that load runs. */
async function settlePlan(options: BenchOptions, progress: Progress): Promise<Plan> {
  const [contenders, probes] = [chooseContenders(options), chooseProbes(options)];
  const { pacedMbps: asked, underlay } = options;
  const isWanted = asked === 'auto' && probes.includes(udpPaced);
  const found = isWanted ? await findPacedMbps(kernelVxlan, underlay, progress) : 0;
  return { ...options, contenders, probes, pacedMbps: asked === 'auto' ? found : asked };
}

function describeRun(plan: Plan, facts: MachineFacts): string {
  const { underlay, rounds, seconds, pacedMbps, probes } = plan;
  const paced = probes.includes(udpPaced) ? `, paced UDP at ${pacedMbps} Mb/s` : '';
  return [
    `## Weft bench, underlay ${underlay}`,
    describeMachine(facts),
    `${rounds} interleaved rounds, ${seconds} s a load${paced}; medians (least–most). Both hosts share this machine: compare ratios.`,
    plan.contenders.map(({ name, describe }) => `- \`${name}\`: ${describe}`).join('\n'),
  ].join('\n\n');
}

function writeJson(file: string, content: object): void {
  writeFileSync(file, `${JSON.stringify(content, undefined, 1)}\n`);
}

/** Every cell of the tables, for whoever reads the JSON with a program. */
function figuresOf(plan: Plan, { samples }: Outcome, base: string): object[] {
  const columns = plan.probes.flatMap((probe) => probe.columns);
  return plan.contenders.flatMap(({ name: contender }) =>
    columns.flatMap(({ key }) => {
      const figure = figureOf(samples, contender, key, base);
      return figure === undefined ? [] : [{ contender, key, ...figure }];
    }),
  );
}

function save(options: BenchOptions, plan: Plan, facts: MachineFacts, outcome: Outcome): void {
  const command = ['npm', 'run', 'bench', '--', ...process.argv.slice(2)].join(' ');
  if (options.json !== undefined) {
    const contenders = plan.contenders.map(({ name, describe }) => ({ name, describe }));
    const columns = plan.probes.flatMap((probe) => probe.columns);
    const figures = figuresOf(plan, outcome, options.base);
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

async function measureAndReport(options: BenchOptions, interrupt: Interrupt): Promise<void> {
  // A path that can't be written is better found out now than after the last round.
  for (const file of [options.json, options.plot]) if (file !== undefined) writeFileSync(file, '');
  await installPackages(chooseContenders(options));
  const progress = new Progress();
  const plan = await settlePlan(options, progress);
  const facts = await machineFacts();
  console.log(`${describeRun(plan, facts)}\n`);
  const outcome = await new Runner(plan, progress, interrupt).run();
  const names = plan.contenders.map(({ name }) => name);
  const { samples, absences } = outcome;
  console.log(renderReport(sectionsOf(plan.probes), names, samples, absences, options.base));
  save(options, plan, facts, outcome);
  process.exitCode = exitStatus(outcome);
}

async function runBench(options: BenchOptions): Promise<void> {
  const interrupt = new Interrupt();
  try {
    await measureAndReport(options, interrupt);
  } catch (error) {
    if (interrupt.exitStatus === undefined) throw error;
    process.exit(interrupt.exitStatus);
  }
}

const program = benchProgram(
  EVERYONE.map(({ name }) => name),
  PROBES.map(({ name }) => name),
  {
    bench: runBench,
    micro: runMicro,
    gossip: runGossip,
    cni: runCni,
    docker: runDocker,
    dns: runDns,
    links: runLinks,
  },
);
await program.parseAsync().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
