/**
 * `npm run deb [-- DIRECTORY] [--uncompressed]`: makes weft_VERSION_ARCH.deb of what was built, in DIRECTORY (default
 * build/). Holds program, addons and the npm packages that run needs, the systemd unit, the manual pages
 * and the completions, which come from the tree of commands.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './environment.mjs';
import { copy, manifest, put, putProgram } from './program-tree.mjs';

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

function putSystem(stage) {
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
  putSystem(stage);
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
