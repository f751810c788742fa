import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import type { Sample } from '../../bench/lib/result.ts';
import { temporaryDirectory } from '../../bench/lib/temporary.ts';
import { Topology, UNDERLAY_MODES, type UnderlayMode } from '../../bench/lib/topology.ts';
import { flood } from '../../bench/lib/udpgen.ts';
import { openLab } from './lab.ts';

const BENCH = join(packageRoot, 'dist/bench/main.js');

const execute = promisify(execFile);

async function namespacesOf(pid: number | undefined): Promise<string[]> {
  const { stdout } = await execute('ip', ['netns', 'list']);
  return stdout.split('\n').filter((line) => line.includes(`weft-tbench${pid}-`));
}

test('kernel VXLAN is measured beside the bare underlay', async (t) => {
  const directory = temporaryDirectory('test');
  t.teardown(() => directory.remove());
  const [json, plot] = [join(directory.path, 'b.json'), join(directory.path, 'b.svg')];
  const what = ['--contenders', 'bare,kernel-vxlan', '--metrics', 'rtt,tcp1,udp64'];
  const { stdout } = await execute(process.execPath, [
    ...[BENCH, '--rounds', '1', '--seconds', '1', ...what, '--json', json, '--plot', plot],
  ]);
  const { samples } = JSON.parse(readFileSync(json, 'utf8')) as { samples: Sample[] };
  t.is(samples.length, 6);
  for (const key of ['rtt.medianUs', 'tcp1.gbps', 'tcp1.cpuPerGb', 'udp64.receivedKpps']) {
    const values = samples.flatMap((sample) => sample.values[key] ?? []);
    t.is(values.length, 2, key);
    t.true(
      values.every((value) => value > 0),
      `${key}: ${values.join(', ')}`,
    );
  }
  t.regex(stdout, /^\| kernel-vxlan +\| +[\d.]+\*? +\| +1\.00 \|/m);
  t.regex(readFileSync(plot, 'utf8'), />kernel-vxlan</);
});

test('Ctrl-C in the middle of a load leaves nothing behind', async (t) => {
  const child = spawn(
    process.execPath,
    [BENCH, '--contenders', 'kernel-vxlan', '--metrics', 'tcp1', '--seconds', '30'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  for await (const line of createInterface(child.stderr)) if (/ tcp1$/.test(line)) break;
  t.is((await namespacesOf(child.pid)).length, 4);
  child.kill('SIGINT');
  t.deepEqual(await ended, [130, null]);
  t.deepEqual(await namespacesOf(child.pid), []);
});

test('each underlay mode leaves the offloads that it names, and no UDP segmentation but in offload', async (t) => {
  for (const mode of Object.keys(UNDERLAY_MODES) as UnderlayMode[]) {
    const lab = openLab(t, 'bench');
    const { hosts } = await Topology.build(lab, mode);
    for (const { namespace, ifname } of hosts) {
      const features = await namespace.run('ethtool', ['-k', ifname]);
      const isOn = (name: string): boolean => new RegExp(`^\\s*${name}: on`, 'm').test(features);
      const isWhole = mode === 'offload';
      t.is(isOn('tx-udp-segmentation'), isWhole, mode);
      t.is(isOn('tcp-segmentation-offload'), isWhole, mode);
      t.is(isOn('tx-checksumming'), isWhole, mode);
      if (!isWhole) t.is(isOn('generic-receive-offload'), mode === 'no-tx-offload', mode);
    }
    await lab.destroy();
  }
});

test('the generator keeps its rate and the receiver counts every datagram', async (t) => {
  const ends = (await Topology.build(openLab(t, 'bench'), 'offload')).hostEnds();
  const report = await flood(ends, { bytes: 1400, seconds: 0.5, rate: 2000, flows: 4 });
  t.true(report.sent > 900 && report.sent <= 1000, `sent ${report.sent}`);
  t.is(report.received, report.sent);
  t.is(report.reordered, 0);
});
