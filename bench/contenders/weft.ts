/** What the Weft contenders share: two daemons, one mesh, one network, two attached containers. */
import { OVERLAY_MTU, type Topology } from '../lib/topology.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { WeftHost, type WeftHostOptions } from '../lib/weft-host.ts';
import { ContenderUnavailable, type Running } from './contender.ts';

type Kind = 'native' | 'portable';
export type PlaneOptions = Pick<WeftHostOptions, 'fastPath' | 'threads'>;

const NETWORK = 'bench';
const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

/**
 * Native is asked for as `auto`: a daemon that can't run it then starts all the same and says why in its
 * status, which is better to read than the last words of one that refused.
 */
const ASKED_FOR = { native: 'auto', portable: 'portable' } as const satisfies Record<Kind, string>;

/** Starts a daemon and makes sure that it runs the data plane meant, and not the other in its stead. */
async function start(host: WeftHost, kind: Kind): Promise<void> {
  await host.up().catch((cause: unknown) => {
    const said = host.lastLines(10).join('\n').trim();
    throw new Error(`${(cause as Error).message}; it said: ${said}`, { cause });
  });
  const { dataPlane } = await host.status();
  if (dataPlane.kind !== kind) {
    throw new ContenderUnavailable(`its daemon says: ${dataPlane.reason}`);
  }
}

/** Brings up two daemons with the given data plane, and containers on one network of the bench's MTU. */
export async function weftUp(
  topology: Topology,
  kind: Kind,
  options: PlaneOptions = {},
): Promise<Running> {
  const directory = temporaryDirectory('bench');
  const [a, b] = topology.hosts.map(
    (host, index) =>
      new WeftHost(host, {
        name: 'ab'[index] ?? '',
        directory: directory.path,
        dataPlane: ASKED_FOR[kind],
        ...options,
      }),
  ) as [WeftHost, WeftHost];
  for (const host of [a, b]) await start(host, kind);
  await b.weft('join', a.meshAddress);
  for (const host of [a, b]) await host.seesAlive(2);

  const subnet = ['--subnet', '10.77.0.0/24', '--mtu', String(OVERLAY_MTU)];
  await a.weft('network', 'create', NETWORK, ...subnet);
  await b.seesNetwork(NETWORK);
  const containers = await topology.emptyContainers();
  await a.attach(NETWORK, containers[0], ADDRESSES[0]);
  await b.attach(NETWORK, containers[1], ADDRESSES[1]);

  return {
    ends: {
      client: containers[0],
      server: containers[1],
      serverAddress: ADDRESSES[1],
      mtu: OVERLAY_MTU,
    },
    daemonPids: [a, b].flatMap(({ pid }) => pid ?? []),
    async down() {
      await Promise.all([a.stop(), b.stop()]);
      directory.remove();
    },
  };
}
