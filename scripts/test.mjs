/**
 * Runs the suites named on the command line (native, unit, e2e), one after the other, and ends with one
 * line `N passed, N failed` over all of them. Exit status 1 if any test failed or none ran.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './environment.mjs';

const ava = (config) => [
  join(root, 'node_modules/ava/entrypoints/cli.mjs'),
  ...['--tap', '--config', config],
];

/** Programs for Node that print TAP. */
const SUITES = {
  native: [join(root, 'scripts/native-test.mjs')],
  unit: ava('ava.config.js'),
  e2e: ava('ava.e2e.config.js'),
};

/** Runs one suite, shows its output as it comes, and counts its own TAP lines. */
function runSuite(suite) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, SUITES[suite], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const counts = { passed: 0, failed: 0 };
    let rest = '';
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith('ok ')) counts.passed++;
        else if (line.startsWith('not ok ')) counts.failed++;
        console.log(line);
      }
    });
    child.on('close', (status) => resolve({ ...counts, status }));
  });
}

const total = { passed: 0, failed: 0, broken: false };
for (const suite of process.argv.slice(2)) {
  console.log(`# ${suite}`);
  const { passed, failed, status } = await runSuite(suite);
  total.passed += passed;
  total.failed += failed;
  total.broken ||= status !== 0;
}
if (total.broken && total.failed === 0) total.failed = 1;
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
