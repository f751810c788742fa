/**
 * The program as it is installed, for whatever packs it: the Debian package, Docker's managed plugin.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './environment.mjs';

/** Needed to build addons, and not to run. */
const BUILD_ONLY = ['node-gyp', 'node-addon-api'];
const ADDONS = ['dataplane.node', 'host.node', 'netlink.node', 'tun.node', 'fast-path.bpf.o'];
const HOME = 'usr/lib/weft';

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;

/** Where `name` is found from the package at `from`, as Node looks for it; undefined: not installed. */
function locate(from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (lock[path] !== undefined && existsSync(join(root, path))) return path;
    if (at === '') return undefined;
  }
}

/** The folders of all npm packages that the program needs at run time. */
function runtimePackages() {
  const found = new Set();
  const visit = (from, names) => {
    for (const name of names) {
      const path = locate(from, name);
      if (path === undefined || found.has(path)) continue;
      found.add(path);
      const { dependencies = {}, optionalDependencies = {} } = lock[path];
      visit(path, [...Object.keys(dependencies), ...Object.keys(optionalDependencies)]);
    }
  };
  visit(
    '',
    Object.keys(manifest.dependencies).filter((name) => !BUILD_ONLY.includes(name)),
  );
  return [...found];
}

/** Puts a file into the tree; its folders are made. */
export function put(stage, path, content, mode = 0o644) {
  const file = join(stage, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

export function copy(stage, from, to) {
  cpSync(join(root, from), join(stage, to), {
    recursive: true,
    dereference: true,
    // A package's own packages are on the list themselves; sources, types and maps are not run.
    filter: (path) =>
      !/\/node_modules\/.*\/node_modules(\/|$)|\.(d\.[cm]?ts|map|cc|cpp|hpp)$/.test(path),
  });
}

/** What runs: the program, its addons, the npm packages that it needs, and `usr/bin/weft`. */
export function putProgram(stage) {
  for (const path of ['dist/src', 'bin/weft', 'package.json']) copy(stage, path, `${HOME}/${path}`);
  for (const addon of ADDONS.filter((name) =>
    existsSync(join(root, 'native/build/Release', name)),
  )) {
    copy(stage, `native/build/Release/${addon}`, `${HOME}/native/build/Release/${addon}`);
  }
  for (const path of runtimePackages()) copy(stage, path, `${HOME}/${path}`);
  chmodSync(join(stage, HOME, 'bin/weft'), 0o755);
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  symlinkSync('../lib/weft/bin/weft', join(stage, 'usr/bin/weft'));
}
