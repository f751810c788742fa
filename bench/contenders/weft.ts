/** What the Weft contenders share: two daemons, one mesh, one network, two attached containers. */
import type { LabNamespace } from '../lib/lab.ts';
import { OVERLAY_MTU, type Topology } from '../lib/topology.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { until } from '../lib/until.ts';
import { WeftHost, type WeftHostOptions } from '../lib/weft-host.ts';
import { ContenderUnavailable, type Running } from './contender.ts';

type Kind = 'native' | 'portable';
export type PlaneOptions = Pick<WeftHostOptions, 'fastPath' | 'threads'> & {
  /** Default: plain VXLAN with the bench's MTU. `sealed` has the MTU that `weft` gives it. */
  readonly encap?: 'vxlan' | 'sealed';
  /** What both hosts trust of the underlay. */
  readonly trustedSubnet?: string;
};

const NETWORK = 'bench';
const SUBNET = '10.77.0.0/24';
const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

/**
 * Native is asked for as `auto`: a daemon that can't run it then starts all the same and says why in its
 * status, which is better to read than the last words of one that refused.
 */
const ASKED_FOR = { native: 'auto', portable: 'portable' } as const satisfies Record<Kind, string>;

/** Starts a daemon and makes sure that it runs the data plane meant, and not the other in its stead. */
async function start(host: WeftHost, kind: Kind, flags: readonly string[]): Promise<void> {
  await host.up(...flags).catch((cause: unknown) => {
    const said = host.lastLines(10).join('\n').trim();
    throw new Error(`${(cause as Error).message}; it said: ${said}`, { cause });
  });
  const { dataPlane } = await host.status();
  if (dataPlane.kind !== kind) {
    throw new ContenderUnavailable(`its daemon says: ${dataPlane.reason}`);
  }
}

/** Returns once both hosts have agreed to go plain, which they do for who talks. */
async function agreeToGoPlain(
  [a, b]: readonly [WeftHost, WeftHost],
  container: LabNamespace,
): Promise<void> {
  await until('both hosts to send each other frames in the clear', async () => {
    await container.tryRun('ping', ['-c', '1', '-W', '1', ADDRESSES[1]]);
    const links = await Promise.all([a.control.links(b.name), b.control.links(a.name)]);
    return links.flat().every(({ trust }) => trust?.isPlain === true);
  });
}

/** Brings up two daemons with the given data plane, and containers on one network. */
export async function weftUp(
  topology: Topology,
  kind: Kind,
  { encap = 'vxlan', trustedSubnet, ...options }: PlaneOptions = {},
): Promise<Running> {
  const directory = temporaryDirectory('bench');
  const hosts = topology.hosts.map(
    (host, index) =>
      new WeftHost(host, {
        name: 'ab'[index] ?? '',
        directory: directory.path,
        dataPlane: ASKED_FOR[kind],
        ...options,
      }),
  ) as [WeftHost, WeftHost];
  const [a, b] = hosts;
  const flags = trustedSubnet === undefined ? [] : ['--trusted-subnet', trustedSubnet];
  for (const host of hosts) await start(host, kind, flags);
  await b.weft('join', a.meshAddress, '--token', (await a.weft('token')).trim());
  for (const host of hosts) await host.seesAlive(2);

  const mtu = encap === 'sealed' ? [] : ['--mtu', String(OVERLAY_MTU)];
  await a.weft('network', 'create', NETWORK, '--subnet', SUBNET, '--encap', encap, ...mtu);
  await b.seesNetwork(NETWORK);
  const containers = await topology.emptyContainers();
  await a.attach(NETWORK, containers[0], ADDRESSES[0]);
  await b.attach(NETWORK, containers[1], ADDRESSES[1]);
  if (trustedSubnet !== undefined) await agreeToGoPlain(hosts, containers[0]);

  return {
    ends: {
      client: containers[0],
      server: containers[1],
      serverAddress: ADDRESSES[1],
      mtu: (await a.control.inspectNetwork(NETWORK)).mtu,
    },
    daemonPids: [a, b].flatMap(({ pid }) => pid ?? []),
    async down() {
      await Promise.all([a.stop(), b.stop()]);
      directory.remove();
    },
  };
}
