/**
 * Builds everything that can run: gossip's message code from its .proto, the TypeScript, the native
 * addons. Each step is skipped when its outputs are newer than its inputs. Needs node_modules.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, nodeHeadersDirectory } from './environment.mjs';

const bin = (name) => join(root, 'node_modules', '.bin', name);

function run(what, command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  console.error(`weft: building ${what} failed (${command} ${args.join(' ')}).`);
  process.exit(1);
}

function newest(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return readdirSync(path)
    .filter((name) => name !== 'build' && name !== 'node_modules')
    .reduce((latest, name) => Math.max(latest, newest(join(path, name))), 0);
}

function buildMessages() {
  const proto = join(root, 'src/gossip/wire.proto');
  const out = join(root, 'src/gossip/generated');
  if (newest(join(out, 'wire.d.ts')) < newest(proto)) {
    mkdirSync(out, { recursive: true });
    const js = join(out, 'wire.js');
    run('gossip messages', bin('pbjs'), [
      ...['-t', 'static-module', '-w', 'es6', '--no-create', '--no-verify', '--no-convert'],
      ...['--no-delimited', '--no-service', '--no-typeurl'],
      // Node resolves a file of a CommonJS package from an ES module only by its full name.
      ...['--dependency', 'protobufjs/minimal.js', '-o', js, proto],
    ]);
    run('gossip message types', bin('pbts'), ['-o', join(out, 'wire.d.ts'), js]);
  }
  cpSync(out, join(root, 'dist/src/gossip/generated'), { recursive: true });
}

function buildNative() {
  const native = join(root, 'native');
  // Written last: a build that was killed has new files, too.
  const stamp = join(native, 'build', 'complete');
  if (newest(stamp) > newest(native)) return;
  const headers = nodeHeadersDirectory();
  run('the native addons', bin('node-gyp'), [
    ...['rebuild', '-C', native, ...(headers ? [`--nodedir=${headers}`] : [])],
  ]);
  writeFileSync(stamp, '');
}

/** Without a clang that knows BPF the fast path is left out, and `weft status` says so. */
function buildFastPath() {
  const source = join(root, 'native/fastpath');
  const object = join(root, 'native/build/Release/fast-path.bpf.o');
  if (newest(object) > newest(source)) return;
  const clang = ['clang-14', 'clang'].find(
    (name) => spawnSync(name, ['-print-target-triple']).status === 0,
  );
  if (clang === undefined) return;
  // Where Debian keeps asm/types.h of this processor.
  const { stdout } = spawnSync(clang, ['-print-multiarch'], { encoding: 'utf8' });
  const headers = stdout.trim() === '' ? [] : ['-I', join('/usr/include', stdout.trim())];
  run('the fast path', clang, [
    ...['-O2', '-target', 'bpf', '-Wall', '-Wextra', '-Werror', ...headers],
    ...['-c', join(source, 'fast-path.bpf.c'), '-o', object],
  ]);
}

buildMessages();
run('TypeScript', bin('tsc'), ['-p', root], { stdio: 'inherit' });
buildNative();
buildFastPath();
