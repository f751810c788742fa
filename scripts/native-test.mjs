/**
 * Runs the C++ unit tests of native/core under ASan and UBSan, and with `fuzz [SECONDS]` each libFuzzer
 * target from its committed corpus (needs clang; 60 s each unless told otherwise).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './environment.mjs';

const [goal = 'test', seconds = '60'] = process.argv.slice(2);
const make = spawnSync('make', ['-s', '-C', join(root, 'native'), goal, `SECONDS=${seconds}`], {
  stdio: 'inherit',
});
process.exitCode = make.status ?? 1;
