/**
 * Runs the libFuzzer targets of native/fuzz, each from its committed corpus, and says how far each came.
 *
 *   node scripts/fuzz.mjs [--seconds 60] [--jobs 2] [--keep] [TARGET...]
 *
 * `--keep` adds what was found worth keeping to the committed corpus, minimised. An input that breaks a
 * target stays in build/fuzz-findings, and the exit status is 1. Needs clang-14 (scripts/setup.mjs test).
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './environment.mjs';

const native = join(root, 'native');
const programs = join(root, 'build/fuzz');
const findings = join(root, 'build/fuzz-findings');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    keep: { type: 'boolean', default: false },
  },
});

function fail(sentence) {
  console.error(`weft: ${sentence}`);
  process.exit(1);
}

function chooseTargets() {
  const known = readdirSync(join(native, 'fuzz'))
    .filter((name) => name.endsWith('.cpp'))
    .map((name) => name.slice(0, -'.cpp'.length));
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    fail(`there is no fuzz target "${unknown}"; there are ${known.join(', ')}.`);
  }
  return positionals.length > 0 ? positionals : known;
}

function positive(name) {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 1) {
    fail(`--${name} "${values[name]}" is not a whole number from 1.`);
  }
  return value;
}

function build(targets) {
  const goals = targets.map((name) => join('../build/fuzz', name));
  const make = spawnSync(
    'make',
    ['-s', '-C', native, '-f', 'fuzz/Makefile', '-j', values.jobs, ...goals],
    {
      encoding: 'utf8',
    },
  );
  if (make.status === 0) return;
  process.stderr.write(`${make.stdout}${make.stderr}`);
  fail('the fuzz targets can not be built; "node scripts/setup.mjs test" installs what they need.');
}

function run(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => (output += chunk));
    child.on('close', (status) => resolve({ status, output }));
  });
}

/** Puts the fewest inputs that reach all that those in `work` reach into `corpus`. */
async function replaceCorpus(program, corpus, work) {
  rmSync(corpus, { recursive: true });
  mkdirSync(corpus);
  await run(program, ['-set_cover_merge=1', '-max_len=8192', corpus, work]);
}

/** What libFuzzer wrote less its progress. */
function whatBroke(output) {
  const lines = output.split('\n').filter((line) => !/^#\d+\t/.test(line));
  return lines.slice(-60).join('\n');
}

/** Fuzzes one target in a copy of its corpus; true if it found nothing. */
async function fuzz(target, seconds) {
  const corpus = join(native, 'fuzz/corpus', target);
  const work = mkdtempSync(join(tmpdir(), `weft-fuzz-${target}-`));
  mkdirSync(corpus, { recursive: true });
  for (const name of readdirSync(corpus)) copyFileSync(join(corpus, name), join(work, name));
  const program = join(programs, target);
  const { status, output } = await run(program, [
    ...[work, `-max_total_time=${seconds}`, '-max_len=8192', '-timeout=20', '-print_final_stats=1'],
    ...[`-artifact_prefix=${findings}/${target}-`, '-verbosity=1'],
  ]);
  const executions = /stat::number_of_executed_units: (\d+)/.exec(output)?.[1] ?? '?';
  const rate = /stat::average_exec_per_sec:\s+(\d+)/.exec(output)?.[1] ?? '?';
  const edges = [...output.matchAll(/cov: (\d+)/g)].at(-1)?.[1] ?? '?';
  if (status === 0) {
    console.log(`ok - fuzz ${target}: ${executions} inputs, ${rate}/s, ${edges} edges, no finding`);
    if (values.keep) await replaceCorpus(program, corpus, work);
  } else {
    console.log(`not ok - fuzz ${target}: see build/fuzz-findings`);
    process.stderr.write(`${whatBroke(output)}\n`);
  }
  rmSync(work, { recursive: true });
  return status === 0;
}

const seconds = positive('seconds');
const waiting = chooseTargets();
build(waiting);
mkdirSync(findings, { recursive: true });
let isClean = true;
await Promise.all(
  Array.from({ length: positive('jobs') }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await fuzz(next, seconds))) isClean = false;
    }
  }),
);
process.exitCode = isClean ? 0 : 1;
