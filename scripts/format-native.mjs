/**
 * Checks the layout of the C and C++ sources against native/.clang-format, or with --write mends it. Where
 * clang-format-14 is not installed (scripts/setup.mjs test does that) it says so and passes.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './environment.mjs';

const TOOL = 'clang-format-14';

const native = join(root, 'native');
const sources = readdirSync(native, { recursive: true })
  .filter((name) => /\.(?:c|cc|cpp|h|hpp)$/.test(name) && !name.startsWith('build/'))
  .map((name) => join(native, name));
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror'];
const { status, error } = spawnSync(TOOL, [...mode, ...sources], { stdio: 'inherit' });
if (error?.code === 'ENOENT')
  console.log(`weft: ${TOOL} is not installed; native/ is not checked.`);
else process.exitCode = status ?? 1;
