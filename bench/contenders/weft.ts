/** What the Weft contenders share: two daemons, one mesh, one network, two attached containers. */
import { OVERLAY_MTU, type Topology } from '../lib/topology.ts';
import { temporaryDirectory } from '../lib/temporary.ts';
import { WeftHost } from '../lib/weft-host.ts';
import { ContenderUnavailable, type Running } from './contender.ts';

type Kind = 'native' | 'portable';

const NETWORK = 'bench';
const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

/** A daemon that can't run the data plane asked for says so with this code, and ends. */
const UNAVAILABLE = /E_DATA_PLANE_UNAVAILABLE/;

/** Starts a daemon and makes sure that it runs the data plane meant, and not the other in its stead. */
async function start(host: WeftHost, kind: Kind): Promise<void> {
  try {
    await host.up();
  } catch (cause) {
    const said = host.lastLines(10).join('\n').trim();
    if (UNAVAILABLE.test(said)) throw new ContenderUnavailable(said, { cause });
    throw new Error(`${(cause as Error).message}; it said:\n${said}`, { cause });
  }
  const { dataPlane } = await host.status();
  if (dataPlane.kind !== kind) {
    throw new ContenderUnavailable(`the daemon runs ${dataPlane.kind}: ${dataPlane.reason}`);
  }
}

/** Brings up two daemons with the given data plane, and containers on one network of the bench's MTU. */
export async function weftUp(topology: Topology, kind: Kind): Promise<Running> {
  const directory = temporaryDirectory('bench');
  const [a, b] = topology.hosts.map(
    (host, index) =>
      new WeftHost(host, { name: 'ab'[index] ?? '', directory: directory.path, dataPlane: kind }),
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
