/**
 * Runs the suites named on the command line (native, unit, e2e), one after the other, and ends with one
 * line `N passed, N failed` over all of them. Exit status 1 if any test failed or none ran.
 *
 * The end-to-end files wait more than they work: two run at a time. Those that need the machine for
 * themselves come last, one by one.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { root } from './environment.mjs';

const ava = (config, ...files) => [
  join(root, 'node_modules/ava/entrypoints/cli.mjs'),
  ...['--tap', '--config', config, ...files],
];

const E2E_FOLDER = 'dist/test/e2e';
const E2E_AT_ONCE = 2;
/** They measure rates, memory or loss, or are run by commands that measure. */
const E2E_ALONE = ['bench', 'demo', 'fast-path', 'footprint', 'interop', 'native-faults'];
/** They take more than a minute, and so begin first: none is then left to run by itself at the end. */
const E2E_LONG =
  'path-mtu docker-edge endpoint-feed ipam dual-stack docker-swarm adversity nat weave-links'.split(
    ' ',
  );

const e2eFiles = () => {
  const files = readdirSync(join(root, E2E_FOLDER)).filter((name) => name.endsWith('.test.js'));
  const isIn = (list, name) => list.includes(basename(name, '.test.js'));
  const isAlone = (name) => isIn(E2E_ALONE, name);
  const isShort = (name) => Number(!isIn(E2E_LONG, name));
  const run = (name) => ({ name, program: ava('ava.e2e.config.js', join(E2E_FOLDER, name)) });
  return {
    together: files
      .filter((name) => !isAlone(name))
      .sort((one, other) => isShort(one) - isShort(other))
      .map(run),
    alone: files.filter(isAlone).map(run),
  };
};

/** Programs for Node that print TAP: how many at once, and in what rounds. */
const SUITES = {
  native: () => [{ atOnce: 1, runs: [{ program: [join(root, 'scripts/native-test.mjs')] }] }],
  unit: () => [{ atOnce: 1, runs: [{ program: ava('ava.config.js') }] }],
  e2e: () => {
    const { together, alone } = e2eFiles();
    return [
      { atOnce: E2E_AT_ONCE, runs: together },
      { atOnce: 1, runs: alone },
    ];
  },
};

/**
 * Runs one program and counts its TAP lines. Shows its output as it comes, or in one piece at the end where
 * others run beside it.
 */
function run({ name, program }, isAlone) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, program, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const started = performance.now();
    const counts = { passed: 0, failed: 0 };
    const kept = [];
    const show = isAlone ? (line) => console.log(line) : (line) => kept.push(line);
    let rest = '';
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('ok ')) counts.passed++;
        else if (line.startsWith('not ok ')) counts.failed++;
        show(line);
      }
    });
    child.on('close', (status) => {
      if (name !== undefined) {
        show(`# ${name}: ${Math.round((performance.now() - started) / 1000)} s`);
      }
      if (kept.length > 0) console.log(kept.join('\n'));
      resolve({ ...counts, isBroken: status !== 0 });
    });
  });
}

async function runAll({ atOnce, runs }, note) {
  const waiting = [...runs];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      note(await run(next, atOnce === 1));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

const total = { passed: 0, failed: 0, isBroken: false };
for (const suite of process.argv.slice(2)) {
  console.log(`# ${suite}`);
  for (const round of SUITES[suite]()) {
    await runAll(round, ({ passed, failed, isBroken }) => {
      total.passed += passed;
      total.failed += failed;
      total.isBroken ||= isBroken;
    });
  }
}
if (total.isBroken && total.failed === 0) total.failed = 1;
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
