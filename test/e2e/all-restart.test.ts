import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { eventually, startMesh, timed, type WeftHost } from './mesh.ts';

const WITHIN_MS = 3000;
const NAMES = ['a', 'b', 'c'] as const;

interface Workload {
  readonly host: WeftHost;
  readonly sandbox: LabNamespace;
  readonly address: string;
}

/** Three hosts with a container each, which reach each other. */
async function startWorkloads(t: ExecutionContext, area: string): Promise<Workload[]> {
  const mesh = await startMesh(t, area, NAMES);
  const [first] = mesh.hosts;
  if (!first) throw new Error('three hosts were asked for');
  await first.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  const workloads: Workload[] = [];
  for (const [index, host] of mesh.hosts.entries()) {
    const sandbox = await mesh.container(`w${host.name}`);
    const address = `10.7.0.${index + 2}`;
    const knows = async (): Promise<boolean> =>
      (await host.tryWeft('network', 'inspect', 'blue')).status === 0;
    await eventually(knows, 20_000);
    await host.attach('blue', sandbox, address);
    workloads.push({ host, sandbox, address });
  }
  await reachEachOther(workloads, 20_000);
  return workloads;
}

/** Waits until each container has an answer from each other one; how long it took, in ms. */
async function reachEachOther(workloads: readonly Workload[], timeoutMs: number): Promise<number> {
  const pairs = workloads.flatMap((from) =>
    workloads.flatMap((to) => (from === to ? [] : [{ from, to }])),
  );
  const took = await Promise.all(
    pairs.map(({ from, to }) =>
      eventually(() => from.sandbox.answers(to.address, { waitSeconds: 0.2 }), timeoutMs),
    ),
  );
  return Math.max(...took);
}

const addressesIn = async ({ sandbox }: Workload): Promise<string> =>
  sandbox.ip('-4 -br address show eth0');

for (const [how, signal] of [
  ['stopped', 'SIGTERM'],
  ['killed', 'SIGKILL'],
] as const) {
  test(`three daemons ${how} and started at once under traffic: addresses stay, traffic is back within 3 s`, async (t) => {
    const workloads = await startWorkloads(t, `all${how.slice(0, 4)}`);
    const [first, second] = workloads;
    if (!first || !second) throw new Error('three workloads were made');
    const before = await Promise.all(workloads.map(addressesIn));
    const traffic = first.sandbox.start('ping', ['-q', '-i', '0.05', second.address]);

    for (const { host } of workloads) host.daemon?.signal(signal);
    await Promise.all(workloads.map(({ host }) => host.daemon?.exited ?? Promise.resolve(0)));
    t.false(await first.sandbox.answers(second.address, { waitSeconds: 0.2 }));
    const back = await timed(async () => {
      await Promise.all(workloads.map(({ host }) => host.up()));
      await reachEachOther(workloads, 30_000);
    }, WITHIN_MS);
    t.log(`all six ways back after ${back.text}`);
    t.true(back.ms <= back.allowedMs, back.text);

    t.deepEqual(await Promise.all(workloads.map(addressesIn)), before);
    t.is((await first.host.status()).endpoints.mesh, workloads.length);
    await traffic.stop();
  });
}
