/**
 * `npm run plugin:build [-- DIRECTORY]`: makes Docker's managed plugin of what was built, in DIRECTORY
 * (default build/docker-plugin): config.json and rootfs, for `docker plugin create NAME DIRECTORY`. The
 * root file system has Weft, Node, the few programs that Weft calls, and the libraries of all these, as
 * this machine has them.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { root } from './environment.mjs';
import { copy, put, putProgram } from './program-tree.mjs';

/** What the daemon calls (src/os), and what starts it. */
const PROGRAMS = ['sh', 'env', 'mount', 'nsenter', 'tee', 'ip', 'tc', 'nft'];
const PATHS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** Directories that Docker mounts over. */
const MOUNT_POINTS = [
  'dev',
  'proc',
  'sys',
  'tmp',
  'run/docker/plugins',
  'host/run',
  'var/lib/weft',
];
/** As Debian and most others have it, so that a path is right by either name. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

function find(program) {
  const path = PATHS.map((directory) => join(directory, program)).find((each) => existsSync(each));
  if (path !== undefined) return path;
  console.error(
    `weft: the plugin needs the program "${program}", which is not in ${PATHS.join(delimiter)}; install iproute2, nftables and util-linux.`,
  );
  process.exit(1);
}

/** The shared libraries of a program or addon, by the paths at which its loader looks for them. */
function librariesOf(file) {
  const text = execFileSync('ldd', [file], { encoding: 'utf8' });
  return text.split('\n').flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

function putFile(stage, from, to = from) {
  mkdirSync(dirname(join(stage, to)), { recursive: true });
  cpSync(from, join(stage, to), { dereference: true });
}

/** npm packages bring their addons for musl along, which nothing here would load. */
function addonsOf(stage) {
  return readdirSync(stage, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(?<!\.musl)\.node$/.test(path))
    .map((path) => join(stage, path));
}

function build(target) {
  const stage = join(target, 'rootfs');
  rmSync(target, { recursive: true, force: true });
  for (const path of MOUNT_POINTS) mkdirSync(join(stage, path), { recursive: true });
  for (const name of MERGED) {
    mkdirSync(join(stage, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(stage, name));
  }
  putProgram(stage);
  put(stage, 'etc/passwd', 'root:x:0:0:root:/:/bin/sh\n');
  put(stage, 'etc/nsswitch.conf', 'hosts: files dns\n');
  const source = join(root, 'packaging/docker-plugin');
  put(stage, 'usr/lib/weft/docker-plugin', readFileSync(join(source, 'entrypoint')), 0o755);
  const programs = PROGRAMS.map(find);
  for (const path of programs) putFile(stage, path);
  putFile(stage, process.execPath, '/usr/bin/node');
  const loaded = [process.execPath, ...programs, ...addonsOf(stage)].flatMap(librariesOf);
  for (const path of new Set(loaded)) putFile(stage, path);
  copy(stage, 'LICENSE', 'usr/share/doc/weft/copyright');
  put(target, 'config.json', readFileSync(join(source, 'config.json')));
}

const target = resolve(process.argv[2] ?? join(root, 'build/docker-plugin'));
build(target);
console.log(target);
