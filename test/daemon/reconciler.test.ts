import test from 'ava';
import { nullLogger } from '../../src/base/log.ts';
import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import { Directory } from '../../src/daemon/directory.ts';
import { Reconciler, type ReconcilerOptions } from '../../src/daemon/reconciler.ts';
import { Serial } from '../../src/daemon/serial.ts';
import type { CarrySpec } from '../../src/daemon/fabric.ts';
import type { EndpointDevice } from '../../src/dataplane/dataplane.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { memoryRows } from '../fakes/memory-rows.ts';

const self = asPeerId('a');
const blue: NetworkDefinition = {
  ...{ id: 'b', name: 'blue', vni: asVni(7), subnet: '10.7.0.0/24', mtu: 1450, encap: 'vxlan' },
  ...{ createdBy: self, createdAt: '2026-01-01T00:00:00Z' },
};

/** A host whose kernel is not touched; `fast` is what the fast path was told last, by MAC. */
function host() {
  const directory = new Directory(self, {
    ...{ networks: memoryRows(), endpoints: memoryRows(), vteps: memoryRows(), uses: memoryRows() },
  });
  directory.putNetwork(blue);
  const clock = new ManualClock();
  const serial = new Serial();
  const seen = { fast: [] as number[], mtu: blue.mtu };
  const fabric = {
    get: () => undefined,
    carry: ({ mtu }: CarrySpec) => Promise.resolve({ mtu }),
    carried: () => [],
    setLocalMacs: () => [],
    setEndpointDevices: (_vni: number, devices: readonly EndpointDevice[]) => {
      seen.fast = devices.map(({ mac }) => mac);
    },
  };
  const options = { self, directory, fabric, serial, clock, mtuOf: () => seen.mtu };
  const reconciler = new Reconciler({
    ...{ ...options, log: nullLogger, edges: { ensure: () => Promise.resolve([]) } },
    feed: { open: () => undefined, restore: () => undefined },
  } as unknown as ReconcilerOptions);
  const attach = (mac: number): { readonly id: string; readonly network: string } => {
    const endpoint = {
      ...{ id: String(mac).repeat(32), network: 'blue', host: self, mac: asMac(mac) },
      ...{ address: `10.7.0.${mac}/24`, ifname: 'eth', sandbox: { path: '/x', inode: '' } },
    };
    directory.putEndpoint(endpoint);
    return endpoint;
  };
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await serial.run(() => Promise.resolve());
  };
  return { reconciler, directory, seen, attach, pass };
}

test('an endpoint that an engine starts joins the fast path half a second later, not with the others before', async (t) => {
  const { reconciler, seen, attach, pass } = host();
  attach(1);
  const starting = attach(2);
  reconciler.awaitStart(starting);
  reconciler.refreshMacs(blue);
  t.deepEqual(seen.fast, [1]);
  await pass(400);
  // Started again: the time counts anew.
  reconciler.awaitStart(starting);
  await pass(400);
  reconciler.refreshMacs(blue);
  t.deepEqual(seen.fast, [1]);
  await pass(100);
  t.deepEqual(seen.fast, [1, 2]);
});

test('one that has gone, or a host that stops, has nothing to wait for', async (t) => {
  const { reconciler, directory, seen, attach, pass } = host();
  const gone = attach(3);
  reconciler.awaitStart(gone);
  directory.removeEndpoint({ host: self, id: gone.id });
  seen.fast = [99];
  await pass(500);
  t.deepEqual(seen.fast, [99]);
  reconciler.awaitStart(attach(4));
  reconciler.stop();
  await pass(500);
  t.deepEqual(seen.fast, [99]);
});

test('an MTU that is on its way is given before anybody judges by it', async (t) => {
  const { reconciler, seen } = host();
  let given = 0;
  reconciler.reconcile = () => {
    given++;
    return Promise.resolve();
  };
  await reconciler.carry(blue);
  await reconciler.settleMtu(blue);
  t.is(given, 0);
  seen.mtu = 1406;
  await reconciler.settleMtu(blue);
  t.is(given, 1);
});
