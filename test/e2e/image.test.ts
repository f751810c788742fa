import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../bench/lib/process.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { makeHosts } from './mesh.ts';

const LONG_MS = 60_000;

/** This machine has no systemd to make cgroups, and gives nobody more than it has itself. */
const engine = (directory: string): string => `
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="runc"
tmp_dir="${directory}/libpod"
[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
`;

test('the image is built from nothing else, and a daemon in it carries a network', async (t) => {
  const mesh = await makeHosts(t, 'image', ['a']);
  const [a] = mesh.hosts;
  if (a === undefined) throw new Error('a host was asked for');
  const { directory } = a;
  const plugin = join(directory, 'plugin');
  await run(process.execPath, [join(packageRoot, 'scripts/plugin.mjs'), plugin]);

  const [conf, storage] = [join(directory, 'containers.conf'), join(directory, 'storage.conf')];
  writeFileSync(conf, engine(directory));
  const [graph, state] = [join(directory, 'images'), join(directory, 'podman')];
  writeFileSync(storage, `[storage]\ndriver="overlay"\ngraphroot="${graph}"\nrunroot="${state}"\n`);
  const podman = [`CONTAINERS_CONF=${conf}`, `CONTAINERS_STORAGE_CONF=${storage}`, 'podman'];
  const recipe = join(packageRoot, 'packaging/Containerfile');
  const patience = { timeoutMs: LONG_MS };
  await run('env', [...podman, 'build', '--quiet', '-f', recipe, '-t', 'weft', plugin], patience);
  t.teardown(() => run('env', [...podman, 'system', 'reset', '--force'], patience));

  // As the recipe says, but with folders of the test's in place of the host's.
  const [sockets, memory] = [join(directory, 'sockets'), join(directory, 'memory')];
  for (const each of [sockets, memory]) mkdirSync(each);
  const daemon = a.namespace.start('env', [
    ...[...podman, 'run', '--rm', '--name', 'weft', '--network', 'host', '--pid', 'host'],
    ...['--security-opt', 'unmask=ALL', '--device', '/dev/net/tun'],
    ...['--cap-add', 'NET_ADMIN,NET_RAW,SYS_ADMIN,SYS_PTRACE,BPF'],
    ...['-v', '/run/netns:/run/netns:rslave', '-v', `${directory}:${directory}`],
    ...['-v', `${memory}:/var/lib/weft`, 'weft', 'up', '--name', 'a', '--socket', a.socket],
  ]);
  await daemon.waitForLine(/weft ready: .*native data plane/, LONG_MS);
  const web = await mesh.container('web');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed');
  await a.attach('blue', web, '10.7.0.2', '--publish', '8080:80');
  t.true(await web.answers('10.7.0.1'));
  t.like(await a.status(), { endpoints: { mesh: 1, local: 1 } });
  await run('env', [...podman, 'stop', 'weft'], patience);
  t.is(await daemon.exited, 0);
  t.true(await web.answers('10.7.0.1'), 'what containers use stays');
});
