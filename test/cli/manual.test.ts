import { spawnSync } from 'node:child_process';
import test from 'ava';
import { Context, type Io } from '../../src/cli/context.ts';
import { bashCompletion, configManPage, leaves, manPage } from '../../src/cli/manual.ts';
import { createProgram } from '../../src/cli/run.ts';
import { CONFIG_KEYS } from '../../src/daemon/config.ts';

const io: Io = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  wallNow: () => 0,
  connect: () => Promise.reject(new Error('nothing is connected to')),
};
const program = createProgram(new Context(io));

test('weft(1) has every command with every flag', (t) => {
  const page = manPage(program, '1.2.3').replaceAll('\\-', '-');
  const all = leaves(program);
  t.true(all.length > 20);
  for (const { path, command } of all) {
    t.true(page.includes(`\n.SS ${path} `), path);
    for (const { flags } of command.options) t.true(page.includes(`\n.B ${flags}\n`), flags);
  }
  t.regex(page, /^\.TH WEFT 1 "" "weft 1\.2\.3"/);
});

test('weftd.conf(5) has every setting and no other', (t) => {
  const page = configManPage(program, '1.2.3');
  const settings = page.slice(page.indexOf('.SH SETTINGS'), page.indexOf('.SH EXAMPLE'));
  const keys = [...settings.matchAll(/^\.B (.*)$/gm)].map(([, key]) => key);
  t.deepEqual(keys.sort(), [...CONFIG_KEYS].sort());
});

const COMPLETED: readonly (readonly [string, readonly string[]])[] = [
  ['weft net', ['network']],
  ['weft network cr', ['create']],
  ['weft --socket /x dns r', ['rename', 'rm']],
  ['weft network create blue --sub', ['--subnet', '--subnet6']],
  ['weft completion --he', ['--help']],
  ['weft nothing-like-it', []],
];

for (const [line, wanted] of COMPLETED) {
  test(`bash completes "${line}"`, (t) => {
    const typed = line.split(' ');
    const script = `${bashCompletion(program)}
COMP_WORDS=(${typed.join(' ')}); COMP_CWORD=${typed.length - 1}; _weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
    t.is(status, 0, stderr);
    t.deepEqual(stdout.split('\n').filter(Boolean).sort(), wanted);
  });
}
