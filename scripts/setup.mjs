/**
 * Brings a fresh clone to the point where `what` can run: Debian packages, node_modules, builds.
 * Says what it installs and why, and only when it is absent; does nothing the second time.
 *
 *   node scripts/setup.mjs run|demo|bench|unit|test [--peers]
 *
 * Has no dependencies: it runs before `npm ci`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './environment.mjs';

/** package: [a file that proves it is there, why Weft wants it, the goals that want it]. */
const PACKAGES = {
  'build-essential': ['/usr/bin/g++', 'to compile the native addons', 'all'],
  ...(process.arch === 'x64' && {
    'libipsec-mb-dev': [
      '/usr/include/intel-ipsec-mb.h',
      'the fastest AES-GCM that this processor can do, for sealed frames',
      'all',
    ],
  }),
  python3: ['/usr/bin/python3', 'node-gyp is driven by it', 'all'],
  iproute2: ['/usr/sbin/ip', 'bridges, veth pairs and namespaces', 'run demo bench test'],
  iperf3: ['/usr/bin/iperf3', 'to measure throughput', 'demo bench test'],
  'iputils-ping': ['/usr/bin/ping', 'to measure reachability', 'demo bench test'],
  ethtool: ['/usr/sbin/ethtool', 'to switch offloads on and off', 'bench test'],
  'netcat-openbsd': ['/usr/bin/nc', 'to move bytes in the tests', 'test'],
  nftables: [
    '/usr/sbin/nft',
    'for gateways and published ports; to cut a host off in the tests',
    'run bench test',
  ],
  'openvswitch-switch': ['/usr/sbin/ovs-vswitchd', 'a foreign VTEP for the interop tests', 'test'],
  'libssl-dev': [
    '/usr/include/openssl/evp.h',
    'the C++ tests run outside Node, whose OpenSSL they would use',
    'unit test',
  ],
  'clang-14': [
    '/usr/bin/clang++-14',
    'to compile the fast path for the kernel, and the fuzz targets',
    'all',
  ],
  'libclang-rt-14-dev': [
    '/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux',
    'the sanitizers and libFuzzer',
    'test',
  ],
  'clang-format-14': ['/usr/bin/clang-format-14', 'to check the layout of the C++ sources', 'test'],
  'docker.io': ['/usr/sbin/dockerd', 'two real engines that share a network', 'bench test'],
  containerd: ['/usr/bin/containerd', 'a container runtime that calls us by CNI', 'test'],
  runc: ['/usr/sbin/runc', 'containers of the runtimes in the tests', 'test'],
  podman: ['/usr/bin/podman', 'another runtime that calls us by CNI', 'test'],
  'busybox-static': ['/bin/busybox', 'the one program of the images in the tests', 'bench test'],
  'golang-go': [
    '/usr/bin/go',
    'to build a program over libcni, which calls us as runtimes do',
    'test',
  ],
  'golang-github-appc-cni-dev': [
    '/usr/share/gocode/src/github.com/containernetworking/cni/libcni',
    'the library by which container runtimes call CNI plugins',
    'test',
  ],
  'containernetworking-plugins': [
    '/usr/lib/cni/bridge',
    'the reference plugins of CNI, to chain with and to measure beside',
    'bench test',
  ],
  'bind9-dnsutils': ['/usr/bin/dig', 'to ask for names as others do', 'test'],
  systemd: ['/usr/bin/systemd-analyze', 'to check the service of the Debian package', 'test'],
  prometheus: ['/usr/bin/promtool', 'to check metrics and alerts by its own tool', 'test'],
  dnsperf: ['/usr/bin/dnsperf', 'to measure how fast names are answered', 'bench'],
  tshark: ['/usr/bin/tshark', 'to have our datagrams dissected by someone else', 'test'],
};

function fail(sentence) {
  console.error(`weft: ${sentence}`);
  process.exit(1);
}

function run(command, args, { quiet = false, ...options } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  if (result.status === 0) return;
  if (quiet) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  fail(
    `set-up stopped: "${command} ${args.join(' ')}" ended with status ${result.status ?? result.error}.`,
  );
}

function checkMachine(goal) {
  if (process.platform !== 'linux') fail(`Weft needs Linux; this is ${process.platform}.`);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Weft needs Node 20.19 or newer; this is ${process.versions.node}.`);
  }
  if (goal === 'unit') return;
  if (process.getuid() !== 0) {
    fail(
      `"npm run ${goal}" makes network namespaces and devices and needs root; run it as root (sudo).`,
    );
  }
  if (!existsSync('/dev/net/tun')) {
    fail(
      '/dev/net/tun is missing; load the kernel module "tun" (modprobe tun) or give the container that device.',
    );
  }
}

function installPackages(goal) {
  const absent = Object.entries(PACKAGES).filter(
    ([, [proof, , goals]]) =>
      (goals === 'all' || goals.split(' ').includes(goal)) && !existsSync(proof),
  );
  if (absent.length === 0) return;
  if (process.getuid() !== 0) {
    fail(
      `these Debian packages are missing: ${absent.map(([name]) => name).join(', ')}; install them as root.`,
    );
  }
  if (!existsSync('/usr/bin/apt-get')) {
    fail(
      `these programs are missing and there is no apt-get to install them: ${absent.map(([name]) => name).join(', ')}.`,
    );
  }
  for (const [name, [, why]] of absent) console.log(`weft: installing ${name} (${why})`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update'], { quiet: true, env });
  run('apt-get', ['install', '-y', '--no-install-recommends', ...absent.map(([name]) => name)], {
    quiet: true,
    env,
  });
}

function installModules() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).update(process.version).digest('hex');
  const stamp = join(root, 'node_modules', '.weft-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('weft: installing npm packages (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund'], { quiet: true });
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, wanted);
}

const goal = process.argv[2] ?? 'run';
checkMachine(goal);
installPackages(goal);
installModules();
run(process.execPath, [join(root, 'scripts/build.mjs')]);
