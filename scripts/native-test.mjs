/**
 * Builds native/core with AddressSanitizer and UBSan and runs on it
 *
 *   node scripts/native-test.mjs [unit]          the C++ unit tests, as TAP; quiet while it builds
 *   node scripts/native-test.mjs soak [SECONDS]  two data planes under load and table changes, 600 s unless
 *                                                told otherwise: no leak, no growth, no frame lost
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root } from './environment.mjs';

// Not under native/build, which node-gyp empties when it builds.
const output = '../build/native-test';

const PROGRAMS = {
  unit: { makefile: 'Makefile', file: 'unit' },
  soak: { makefile: 'soak/Makefile', file: 'run-soak' },
};

function build(program) {
  const { makefile, file } = PROGRAMS[program];
  const make = spawnSync(
    'make',
    [
      ...['-s', '-C', join(root, 'native'), '-j', String(availableParallelism())],
      ...['-f', makefile],
      ...[`BUILD=${output}`, `${output}/${file}`],
    ],
    { encoding: 'utf8' },
  );
  if (make.status === 0) return;
  process.stderr.write(`${make.stdout ?? ''}${make.stderr ?? ''}`);
  console.log(`not ok - native ${program} can not be built`);
  process.exit(1);
}

const [program = 'unit', seconds = '600'] = process.argv.slice(2);
if (!(program in PROGRAMS)) {
  console.error(`weft: "${program}" is neither unit nor soak.`);
  process.exit(2);
}
build(program);
const run = spawnSync(
  join(root, 'native', output, PROGRAMS[program].file),
  program === 'soak' ? [seconds] : [],
  {
    stdio: 'inherit',
  },
);
// A sanitizer or a failed CHECK ends the program in the middle of a test.
if (run.status !== 0)
  console.log(`not ok - native ${program} ended with ${run.signal ?? run.status}`);
process.exitCode = run.status === 0 ? 0 : 1;
