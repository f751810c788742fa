import type { Lab, LabNamespace } from '../lib/lab.ts';
import { routedHosts } from '../lib/routed-hosts.ts';
import { until } from '../lib/until.ts';
import type { WeftHost } from '../lib/weft-host.ts';
import type { Figure } from './figure.ts';
import { addressOf, LinkMesh, NETWORK } from './mesh.ts';

const UNDERLAYS = [1400, 1280, 600];
const MUST_MS = 5_000;
const LONG_MS = 60_000;
/** That the flow goes on is seen by so many more bytes. */
const GOES_ON_BYTES = 1_000_000;

interface Statistics {
  readonly stats64: { readonly rx: { readonly bytes: number } };
}

async function received(container: LabNamespace): Promise<number> {
  const links = (await container.ipJson('-s link show dev eth0')) as readonly Statistics[];
  return links[0]?.stats64.rx.bytes ?? 0;
}

async function flows(container: LabNamespace): Promise<void> {
  const before = await received(container);
  const isMore = async (): Promise<boolean> => (await received(container)) > before + GOES_ON_BYTES;
  await until('TCP to go on', isMore, LONG_MS);
}

async function overlayMtu(host: WeftHost): Promise<number> {
  const { mtu, mtuLimit } = await host.control.inspectNetwork(NETWORK);
  return mtuLimit?.mtu ?? mtu;
}

/** TCP between two hosts with routers between them, whose link narrows. */
export async function measurePathMtu(lab: Lab, directory: string): Promise<Figure[]> {
  const { hosts, narrow } = await routedHosts(lab);
  const mesh = new LinkMesh(lab, hosts, directory);
  await mesh.up();
  await mesh.connect();
  const [a] = mesh.hosts;
  const [web, db] = mesh.containers;
  if (!a || !web || !db) throw new Error('two hosts with containers are wanted');
  const listener = db.start('iperf3', ['-s', '-1', '--forceflush']);
  await listener.waitForLine(/Server listening/);
  web.start('iperf3', ['-c', addressOf(1), '-t', '600', '-b', '50M', '--forceflush']);
  await flows(db);
  const overhead = 1500 - (await overlayMtu(a));
  const figures: Figure[] = [];
  for (const mtu of UNDERLAYS) {
    const started = performance.now();
    await narrow(mtu);
    await until(
      'the MTU to be found',
      async () => (await overlayMtu(a)) === mtu - overhead,
      LONG_MS,
    );
    const foundMs = performance.now() - started;
    await flows(db);
    const againMs = performance.now() - started;
    figures.push({
      what: `the path's MTU drops to ${mtu} under TCP: found`,
      must: `≤ ${MUST_MS / 1000} s, TCP goes on`,
      seen: `${(foundMs / 1000).toFixed(2)} s, 1 MB more after ${(againMs / 1000).toFixed(2)} s`,
      isReached: foundMs <= MUST_MS,
      values: { foundMs, againMs },
    });
  }
  return figures;
}
