import type { ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { LinkDetail } from '../../src/api/control.ts';
import { eventually, waitForPeers, type TestMesh, type WeftHost } from './mesh.ts';

export { blackHole } from '../../bench/lib/black-hole.ts';
export { SequenceFlow, type Sequence } from '../../bench/lib/sequence-flow.ts';

/** Other users of the machine stretch what takes milliseconds. */
export const LONG_MS = 60_000;
export const NFT = '/usr/sbin/nft';

/** Has daemons run on hosts, each joined by a token to the first or to the one that `joins` names. */
export async function joinAll(
  hosts: readonly WeftHost[],
  flagsOf: (host: WeftHost) => readonly string[] = () => [],
  joins: (index: number) => WeftHost | undefined = () => hosts[0],
): Promise<void> {
  for (const [index, host] of hosts.entries()) {
    await host.up(...flagsOf(host));
    const door = index === 0 ? undefined : joins(index);
    if (door === undefined) continue;
    const token = (await door.weft('token')).trim();
    await host.weft('join', door.host.address, '--token', token);
  }
  await Promise.all(hosts.map((host) => waitForPeers(host, hosts.length, LONG_MS)));
}

/** A sealed network that every host knows. */
export async function sealedNetwork(hosts: readonly WeftHost[], name = 'blue'): Promise<void> {
  const [first, ...others] = hosts;
  await first?.weft('network', 'create', name, '--subnet', '10.7.0.0/24', '--encap', 'sealed');
  for (const host of others) {
    await eventually(
      async () => (await host.tryWeft('network', 'inspect', name)).status === 0,
      LONG_MS,
    );
  }
}

/** A container on each host, at 10.7.0.2 and up. */
export async function containers(
  mesh: TestMesh,
  hosts: readonly WeftHost[] = mesh.hosts,
): Promise<LabNamespace[]> {
  const made = [];
  for (const [index, host] of hosts.entries()) {
    const container = await mesh.container(`c${host.name}`);
    const words = ['attach', 'blue', '--netns', container.name, '--ip', `10.7.0.${index + 2}`];
    // A host that reaches the others by relays alone has to find that out first.
    await eventually(async () => (await host.tryWeft(...words)).status === 0, LONG_MS);
    made.push(container);
  }
  return made;
}

/** The link of `host` to another. */
export async function linkTo(host: WeftHost, peer: WeftHost): Promise<LinkDetail> {
  const [link] = await host.json<LinkDetail[]>('links', peer.name);
  if (link === undefined) throw new Error(`${host.name} has no link to ${peer.name}`);
  return link;
}

/** Waits for a path; how long that took, in ms. */
export function waitForPath(host: WeftHost, peer: WeftHost, path: RegExp): Promise<number> {
  return eventually(async () => path.test((await linkTo(host, peer)).path), LONG_MS);
}

export type Test = Pick<ExecutionContext, 'teardown'>;

/** Hosts that reach only those that `reaches` says: the others' packets are dropped as they come, both families. */
export async function cutPairs(
  hosts: readonly WeftHost[],
  reaches: (one: number, other: number) => boolean,
): Promise<void> {
  for (const [index, { namespace, host }] of hosts.entries()) {
    const others = hosts.filter((_, other) => other !== index && !reaches(index, other));
    const rules = others.flatMap((other) => [
      `add rule inet cut in iifname ${host.ifname} ip saddr ${other.host.address} counter drop comment "${other.name}"`,
      `add rule inet cut in iifname ${host.ifname} ip6 saddr ${other.host.address6} counter drop comment "${other.name}"`,
    ]);
    const table = [
      'add table inet cut',
      'delete table inet cut',
      'add table inet cut',
      'add chain inet cut in { type filter hook prerouting priority -300; }',
    ];
    await namespace.run(NFT, [[...table, ...rules].join('; ')]);
  }
}
