/**
 * `npm run deb [-- DIRECTORY] [--uncompressed]`: makes weft_VERSION_ARCH.deb of what was built, in DIRECTORY (default
 * build/). Holds program, addons and the npm packages that run needs, the systemd unit, the manual pages
 * and the completions, which come from the tree of commands.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './environment.mjs';

/** Needed to build addons, and not to run. */
const BUILD_ONLY = ['node-gyp', 'node-addon-api'];
const ADDONS = ['dataplane.node', 'host.node', 'tun.node', 'fast-path.bpf.o'];
const HOME = 'usr/lib/weft';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
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
function put(stage, path, content, mode = 0o644) {
  const file = join(stage, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

function copy(stage, from, to) {
  cpSync(join(root, from), join(stage, to), {
    recursive: true,
    dereference: true,
    // A package's own packages are on the list themselves; sources, types and maps are not run.
    filter: (path) =>
      !/\/node_modules\/.*\/node_modules(\/|$)|\.(d\.[cm]?ts|map|cc|cpp|hpp)$/.test(path),
  });
}

async function putManual(stage) {
  const load = (path) => import(join(root, 'dist/src/cli', path));
  const { manPage, configManPage, bashCompletion, zshCompletion } = await load('manual.js');
  const { createProgram } = await load('run.js');
  const { Context } = await load('context.js');
  const program = createProgram(new Context({ env: {}, out() {}, err() {}, wallNow: () => 0 }));
  const { version } = manifest;
  put(stage, 'usr/share/man/man1/weft.1.gz', gzipSync(manPage(program, version)));
  put(stage, 'usr/share/man/man5/weftd.conf.5.gz', gzipSync(configManPage(program, version)));
  put(stage, 'usr/share/bash-completion/completions/weft', bashCompletion(program));
  put(stage, 'usr/share/zsh/vendor-completions/_weft', zshCompletion(program));
}

function putProgram(stage) {
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
  copy(stage, 'packaging/weft.service', 'lib/systemd/system/weft.service');
  copy(stage, 'packaging/weftd.conf', 'etc/weft/weftd.conf');
  copy(stage, 'LICENSE', 'usr/share/doc/weft/copyright');
}

function putControl(stage, architecture) {
  const fields = {
    ...{ Package: 'weft', Version: manifest.version, Architecture: architecture },
    ...{ Maintainer: 'The Weft authors <weft@localhost>', Section: 'net', Priority: 'optional' },
    Depends: 'nodejs (>= 20.19), iproute2, util-linux, libstdc++6, libc6',
    Recommends: 'nftables',
    Description:
      'one Ethernet for containers on many hosts\n A VXLAN overlay with gossip and no central store.',
  };
  const text = Object.entries(fields).map(([key, value]) => `${key}: ${value}\n`);
  put(stage, 'DEBIAN/control', text.join(''));
  put(stage, 'DEBIAN/conffiles', '/etc/weft/weftd.conf\n');
  for (const script of ['postinst', 'prerm', 'postrm']) {
    put(stage, `DEBIAN/${script}`, readFileSync(join(root, 'packaging/debian', script)), 0o755);
  }
}

const isUncompressed = process.argv.includes('--uncompressed');
const [wanted] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const target = resolve(wanted ?? join(root, 'build'));
mkdirSync(target, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), 'weft-deb-'));
try {
  chmodSync(stage, 0o755);
  const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
  putProgram(stage);
  await putManual(stage);
  putControl(stage, architecture);
  const file = join(target, `weft_${manifest.version}_${architecture}.deb`);
  execFileSync(
    'dpkg-deb',
    [...(isUncompressed ? ['-Znone'] : []), '--root-owner-group', '--build', stage, file],
    { stdio: 'pipe' },
  );
  console.log(file);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
