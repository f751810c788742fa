/**
 * Builds native/core with AddressSanitizer and UBSan, or what is said, and runs on it
 *
 *   node scripts/native-test.mjs [unit]          the C++ unit tests, as TAP; quiet while it builds
 *   node scripts/native-test.mjs threads          the tests of more than one forwarder under ThreadSanitizer
 *   node scripts/native-test.mjs soak [SECONDS]  two data planes under load and table changes, 600 s unless
 *                                                told otherwise: no leak, no growth, no frame lost
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root } from './environment.mjs';

/** `output` is not under native/build, which node-gyp empties when it builds; `args` as `seconds` has them. */
const PROGRAMS = {
  unit: { makefile: 'Makefile', file: 'unit', output: '../build/native-test', args: () => [] },
  threads: {
    ...{ makefile: 'Makefile', file: 'unit', output: '../build/native-test-threads' },
    variables: ['SANITIZERS=-fsanitize=thread -fno-omit-frame-pointer'],
    args: () => ['thread'],
  },
  soak: {
    ...{ makefile: 'soak/Makefile', file: 'run-soak', output: '../build/native-test' },
    args: (seconds) => [seconds],
  },
};

function build(program) {
  const { makefile, file, output, variables = [] } = PROGRAMS[program];
  const make = spawnSync(
    'make',
    [
      ...['-s', '-C', join(root, 'native'), '-j', String(availableParallelism())],
      ...['-f', makefile],
      ...[`BUILD=${output}`, ...variables, `${output}/${file}`],
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
  console.error(`weft: "${program}" is none of unit, threads, soak.`);
  process.exit(2);
}
build(program);
const { file, output, args } = PROGRAMS[program];
const run = spawnSync(join(root, 'native', output, file), args(seconds), { stdio: 'inherit' });
// A sanitizer or a failed CHECK ends the program in the middle of a test.
if (run.status !== 0)
  console.log(`not ok - native ${program} ended with ${run.signal ?? run.status}`);
process.exitCode = run.status === 0 ? 0 : 1;
