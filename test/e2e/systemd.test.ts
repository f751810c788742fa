import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { CommandResult, LabProcess } from '../../bench/lib/process.ts';
import { run, tryRun } from '../../bench/lib/process.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { openLab } from './lab.ts';
import { eventually } from './mesh.ts';

const LONG_MS = 30_000;
const TARGET = 'weft-lab.target';

/**
 * Boots a systemd as process 1 of a machine of its own: this one's files with the package on top, all
 * written to memory; a mount tree that is shared, as systemd makes it on a real one.
 */
const BOOT = `
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
R="$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys"
mount -t tmpfs tmpfs "$R/run"
mount -t tmpfs tmpfs "$R/tmp"
mount --rbind /dev "$R/dev"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
for at in "" /proc /sys /sys/fs/cgroup /run /tmp /dev; do mount --make-rshared "$R$at"; done
dpkg-deb --fsys-tarfile "$2" | tar -x --keep-directory-symlink -C "$R"
printf '[Unit]\\nDescription=Nothing but what the test starts\\n' > "$R/etc/systemd/system/${TARGET}"
mkdir -p "$R/etc/systemd/system/weft.service.d"
printf '[Service]\\nStandardOutput=append:/run/weft.log\\nStandardError=append:/run/weft.log\\n' \\
  > "$R/etc/systemd/system/weft.service.d/log.conf"
echo booting
cd "$R"
exec env -i container=weft-lab "PATH=$PATH" chroot "$R" /lib/systemd/systemd --unit=${TARGET} --show-status=no
`;

/** A machine that systemd runs, in the namespaces of its process 1. */
class Machine {
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  tryRun(...words: readonly string[]): Promise<CommandResult> {
    const root = `/proc/${this.#pid}/root`;
    const enter = ['-t', String(this.#pid), '-m', '-p', '-u', '-i', '-C', '-n'];
    return tryRun('nsenter', [...enter, 'chroot', root, ...words]);
  }

  async run(...words: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.tryRun(...words);
    if (status === 0) return stdout.trim();
    throw new Error(`${words.join(' ')}: status ${status}: ${stderr}${stdout}`);
  }

  show(property: string): Promise<string> {
    return this.run('systemctl', 'show', 'weft', '--property', property, '--value');
  }
}

/** Process 1: the one child of whoever made the namespaces. */
async function firstProcess(boot: LabProcess): Promise<number> {
  await boot.waitForLine(/^booting/, LONG_MS);
  const pid = boot.pid ?? 0;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return Number(children[0]);
}

test('the service of the package under a real systemd: starts, attaches, is restarted, stops', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-tsystemd-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const deb = await run(process.execPath, [
    ...[join(packageRoot, 'scripts/deb.mjs'), '--uncompressed', directory],
  ]);
  const lab = openLab(t, 'systemd');
  const [host] = await lab.underlay(['a']);
  if (host === undefined) throw new Error('a host was asked for');
  const script = join(directory, 'boot.sh');
  writeFileSync(script, BOOT);
  chmodSync(script, 0o755);
  const memory = join(directory, 'memory');
  mkdirSync(memory);
  const boot = host.namespace.start('unshare', [
    ...['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'],
    ...['--uts', '--ipc', '--cgroup', 'sh', script, memory, deb.trim()],
  ]);
  t.teardown(async () => {
    await boot.stop(100);
  });
  const machine = new Machine(await firstProcess(boot));
  await eventually(
    async () => (await machine.tryRun('systemctl', 'is-active', TARGET)).status === 0,
    LONG_MS,
  );

  // Type=notify: a start settles when the daemon has said that it is ready, and what it said is shown.
  await machine.run('systemctl', 'start', 'weft');
  t.is(await machine.show('ActiveState'), 'active');
  t.regex(await machine.show('StatusText'), /^weft ready: .*native data plane/);

  // What the unit keeps from the daemon it does not need: namespaces made later, other processes' ones,
  // bridges, forwarding, nftables.
  await machine.run(
    ...['weft', 'network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed'],
  );
  await machine.run('ip', 'netns', 'add', 'web');
  await machine.run('weft', 'attach', 'blue', '--netns', 'web', '--publish', '8080:80');
  const pings = ['ip', 'netns', 'exec', 'web', 'ping', '-c', '1', '-w', '5', '10.7.0.1'];
  await machine.run(...pings);
  await machine.run('weft', 'network', 'create', 'red', '--subnet', '10.8.0.0/24');
  await machine.run('weft', 'expose', 'red');
  await machine.run('sh', '-c', 'unshare -n sleep 600 > /dev/null 2>&1 & echo $! > /run/db.pid');
  await eventually(async () => {
    const found = await machine.tryRun('sh', '-c', 'weft attach red --pid $(cat /run/db.pid)');
    return found.status === 0;
  }, LONG_MS);
  t.regex(await machine.run('/usr/sbin/nft', 'list', 'table', 'inet', 'weft'), /dnat ip to 10\.7/);

  // It dies, and is there again with all that it had; stopped, it stays so, and containers go on.
  await machine.run('sh', '-c', 'kill -9 $(systemctl show weft --property MainPID --value)');
  await eventually(async () => (await machine.show('NRestarts')) === '1', LONG_MS);
  await eventually(async () => (await machine.show('ActiveState')) === 'active', LONG_MS);
  t.is((await machine.run('weft', 'ps')).split('\n').length, 4);
  await machine.run(...pings);
  await machine.run('systemctl', 'stop', 'weft');
  t.is(await machine.show('Result'), 'success');
  t.is(await machine.show('ActiveState'), 'inactive');
  await machine.run(...pings);
  t.is(await machine.run('sh', '-c', 'ls -A /run/weft | grep -v lock || true'), '');
});
