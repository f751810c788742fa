import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { CniRuntime } from './cni-runtime.ts';
import { eventually, startMesh } from './mesh.ts';

const MBIT = 1e6;
/** Headers, and what the bucket lets pass at once, beside the rate that a stream has in the end. */
const MOST = 1.15;
const LEAST = 0.5;

/** What one TCP stream from a sandbox to another brings over, in Mbit/s. */
async function throughput(from: LabNamespace, to: LabNamespace, address: string): Promise<number> {
  const report = await from.iperfTo(to, { address, extra: ['-O', '1'] });
  return report.bitsPerSecond / MBIT;
}

test('a container is held to its rates, toward its own host and over the mesh', async (t) => {
  const mesh = await startMesh(t, 'cniband', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [onA, onB] = [
    await CniRuntime.on(a.namespace, a.stateDirectory),
    await CniRuntime.on(b.namespace, b.stateDirectory),
  ];
  for (const [runtime, host] of [
    [onA, a],
    [onB, b],
  ] as const) {
    const plugin = { type: 'weft', socket: host.socket, subnet: '10.7.0.0/24' };
    runtime.configure('pods', '1.0.0', {
      ...plugin,
      capabilities: { bandwidth: true, ips: true },
    });
  }
  const [held, near, far] = [
    await mesh.container('held'),
    await mesh.container('near'),
    await mesh.container('far'),
  ];
  const bandwidth = {
    ...{ ingressRate: 40 * MBIT, ingressBurst: 2 * MBIT },
    ...{ egressRate: 20 * MBIT, egressBurst: 2 * MBIT },
  };
  const options = { containerId: 'held', capabilities: { bandwidth, ips: ['10.7.0.10'] } };
  const added = await onA.call('add', 'pods', held.path, options);
  t.is(added.status, 0, added.stderr);
  for (const [runtime, pod, ip] of [
    [onA, near, '10.7.0.11'],
    [onB, far, '10.7.0.12'],
  ] as const) {
    const more = { containerId: pod.name, capabilities: { ips: [ip] } };
    const { status, stderr } = await runtime.call('add', 'pods', pod.path, more);
    t.is(status, 0, stderr);
  }
  await eventually(() => held.answers('10.7.0.12'), 20_000);

  const rates = {
    'to it from its host': await throughput(near, held, '10.7.0.10'),
    'to it from the other': await throughput(far, held, '10.7.0.10'),
    'from it to its host': await throughput(held, near, '10.7.0.11'),
    'from it to the other': await throughput(held, far, '10.7.0.12'),
    'between the others': await throughput(near, far, '10.7.0.12'),
  };
  t.log(rates);
  const within = (rate: number, limit: number): boolean =>
    rate < MOST * limit && rate > LEAST * limit;
  t.true(within(rates['to it from its host'], 40));
  t.true(within(rates['to it from the other'], 40));
  t.true(within(rates['from it to its host'], 20));
  t.true(within(rates['from it to the other'], 20));
  t.true(rates['between the others'] > 100, 'a machine that could do more');

  // A restarted daemon changes nothing; what somebody took away is found and made again.
  await a.kill();
  await a.up();
  const check = () => onA.call('check', 'pods', held.path, options);
  const kept = await check();
  t.is(kept.status, 0, kept.stderr);
  // The sweep may be quicker than the check: then once more.
  await eventually(async () => {
    const shaper = /\bwi[0-9a-f]{12}\b/.exec(await a.namespace.ip('-o link show type ifb'))?.[0];
    if (shaper !== undefined) await a.namespace.ip(`link delete ${shaper}`);
    const { stderr } = await check();
    return /no limit of 20000000 bit\/s on what goes from it/.test(stderr);
  }, 30_000);
  await eventually(async () => (await check()).status === 0, 30_000);
  t.true(within(await throughput(held, far, '10.7.0.12'), 20));

  // Refused in one sentence, and nothing is half done.
  const odd = { ...options, containerId: 'odd', ifname: 'eth9' };
  const capabilities = { bandwidth: { ingressRate: MBIT, ingressBurst: 0 } };
  const refused = await onA.call('add', 'pods', held.path, { ...odd, capabilities });
  t.is(refused.status, 1);
  t.regex(refused.stderr, /The ingress rate is 1000000 bit\/s and no burst is given/);
  t.false((await held.ip('-o link show')).includes('eth9'));

  const deleted = await onA.call('del', 'pods', held.path, options);
  t.is(deleted.status, 0, deleted.stderr);
  t.is((await a.namespace.ip('-o link show type ifb')).trim(), '');
});
