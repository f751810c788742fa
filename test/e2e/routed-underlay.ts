import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Lab } from '../../bench/lib/lab.ts';
import { routedHosts, type RoutedHosts } from '../../bench/lib/routed-hosts.ts';
import { WeftHost, type DataPlaneName, type TestMesh } from './mesh.ts';

/** Two hosts with two routers between them, which daemons may run on. */
export interface RoutedUnderlay extends Omit<RoutedHosts, 'hosts'> {
  readonly mesh: TestMesh;
  readonly a: WeftHost;
  readonly b: WeftHost;
}

export interface RoutedUnderlayOptions {
  readonly mtu?: number;
  readonly family?: 4 | 6;
  readonly dataPlane?: DataPlaneName;
}

/** a - r1 - r2 - b: what is too long for the link in the middle does not fail where it is sent. */
export async function routedUnderlay(
  t: Pick<ExecutionContext, 'teardown'>,
  area: string,
  { mtu = 1500, family = 4, dataPlane = 'native' }: RoutedUnderlayOptions = {},
): Promise<RoutedUnderlay> {
  const lab = new Lab(area);
  const directory = mkdtempSync(join(tmpdir(), `weft-t${area}-`));
  t.teardown(async () => {
    await lab.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  const { hosts: routed, ...controls } = await routedHosts(lab, { mtu, family });
  const [first, second] = routed;
  const a = new WeftHost('a', first, directory, dataPlane);
  const b = new WeftHost('b', second, directory, dataPlane);
  return {
    ...{ a, b, ...controls },
    mesh: { lab, hosts: [a, b], container: (name) => lab.namespace(name) },
  };
}
