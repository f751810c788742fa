/** `npm run sim`: one scenario on a simulated mesh; prints its figures and exits with 0 if all hold. */
import { writeFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { wholeFrom } from '../../bench/lib/options.ts';
import { presets } from '../../src/gossip/config.ts';
import { runSchedules } from './ipam-main.ts';
import { memoryPerHost } from './memory.ts';
import { Run, type Figure, type PresetName, type RunOptions, type Scenario } from './run.ts';
import { SCENARIOS } from './scenarios/registry.ts';

interface Flags {
  readonly scenario: string;
  readonly hosts?: number;
  readonly minutes?: number;
  readonly seed: number;
  readonly loss?: number;
  readonly preset: PresetName;
  readonly json?: string;
}

const HIGHEST_SEED = 2 ** 31;

function percentage(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 50) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 50.');
}

function minutesFrom(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 10_000) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 10000.');
}

const program = new Command('sim')
  .description('Runs the real gossip machines of many hosts on one virtual clock.')
  .addOption(
    new Option('--scenario <name>', 'what happens')
      .choices(SCENARIOS.map(({ name }) => name))
      .default('idle'),
  )
  .option('--hosts <n>', 'size of the mesh (default: the scenario’s)', wholeFrom(2, 20_000))
  .option('--minutes <n>', 'virtual time to measure (default: the scenario’s)', minutesFrom)
  .option('--seed <n>', 'repeats a run', wholeFrom(0, HIGHEST_SEED), Date.now() % HIGHEST_SEED)
  .option('--loss <percent>', 'datagrams lost (default: the scenario’s)', percentage)
  .addOption(
    new Option('--preset <name>', 'gossip options').choices(Object.keys(presets)).default('lan'),
  )
  .option('--json <file>', 'write the figures')
  .addHelpText(
    'after',
    `\nScenarios:\n${SCENARIOS.map(({ name, describe }) => `  ${name.padEnd(10)} ${describe}`).join('\n')}`,
  );

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : 'never';
  return Number.isInteger(value) ? `${value}` : value.toFixed(Math.abs(value) < 10 ? 2 : 0);
}

function render({ name, value, unit, most }: Figure): string {
  const limit = most === undefined ? '' : `  (at most ${formatNumber(most)})`;
  const verdict = most === undefined || value <= most ? '' : '  FAILED';
  return `  ${name.padEnd(46)} ${formatNumber(value).padStart(9)} ${unit}${limit}${verdict}`;
}

function simulate(scenario: Scenario, options: RunOptions): Run {
  const run = new Run(options, scenario.network);
  scenario.run(run);
  const { cluster } = run;
  const [some] = cluster.hosts;
  if (some !== undefined) run.note('memory per host', memoryPerHost(some) / 1000, 'kB');
  const { user, system } = process.cpuUsage();
  const seconds = (user + system) / 1e6;
  run.note('virtual time', cluster.now / 1000, 's');
  run.note('events', cluster.events, '');
  run.note('processor time', seconds, 's');
  return run;
}

function execute(flags: Flags): number {
  const scenario = SCENARIOS.find(({ name }) => name === flags.scenario) as Scenario;
  const { seed, preset, loss, hosts = scenario.hosts, minutes = scenario.minutes } = flags;
  const options = {
    ...{ hosts, minutes, seed, preset },
    ...(loss === undefined ? {} : { loss: loss / 100 }),
  };
  console.log(`${scenario.name}: ${scenario.describe}`);
  console.log(`${hosts} hosts, ${minutes} minutes, preset ${preset}, seed ${seed}`);
  const run = simulate(scenario, options);
  console.log(run.figures.map(render).join('\n'));
  const { failures } = run;
  if (flags.json !== undefined) {
    const content = { scenario: scenario.name, ...options, figures: run.figures };
    writeFileSync(flags.json, `${JSON.stringify(content, undefined, 1)}\n`);
  }
  if (failures.length === 0) return 0;
  console.log(`\nFAILED with --seed ${seed}. The last messages of hosts concerned:\n`);
  console.log(run.diagram());
  return 1;
}

program
  .enablePositionalOptions()
  .action(() => {
    process.exitCode = execute(program.opts<Flags>());
  })
  .command('ipam')
  .description('runs random schedules of the address space and looks for an address given twice')
  .option('--schedules <n>', 'how many', wholeFrom(1, 1e9), 10_000)
  .option('--seed <n>', 'of the first; each next has one more', wholeFrom(0, HIGHEST_SEED), 1)
  .action(runSchedules);
program.parse();
