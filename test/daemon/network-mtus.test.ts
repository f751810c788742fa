import test from 'ava';
import { nullLogger } from '../../src/base/log.ts';
import { asMac, asPeerId, asVni, type PeerId } from '../../src/base/types.ts';
import { Directory } from '../../src/daemon/directory.ts';
import { describePathMtu, NetworkMtus } from '../../src/daemon/network-mtus.ts';
import { sentBytes } from '../../src/daemon/path-traffic.ts';
import type { MtuRecord } from '../../src/daemon/records.ts';
import { createEncapsulations } from '../../src/encap/registry.ts';
import { locatorOf } from '../../src/link/locator.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';

import { memoryRows } from '../fakes/memory-rows.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => asPeerId(letter.repeat(32))) as [
  PeerId,
  PeerId,
  PeerId,
];

/** Host A with networks blue (and b, c as far as a test puts endpoints there). */
class World {
  readonly directory = new Directory(A, {
    networks: memoryRows(),
    endpoints: memoryRows(),
    vteps: memoryRows(),
    uses: memoryRows(),
  });
  readonly rows = memoryRows<MtuRecord>();
  readonly paths = new Map<PeerId, number>();
  readonly searching = new Set<PeerId>();
  readonly gone = new Set<PeerId>();
  changes = 0;
  readonly mtus: NetworkMtus;

  constructor() {
    const { directory, rows, paths, searching, gone } = this;
    this.mtus = new NetworkMtus({
      ...{ self: A, rows, directory, encapsulations: createEncapsulations(), log: nullLogger },
      paths: {
        pathMtu: (peer) => paths.get(peer),
        isSearching: (peer) => searching.has(peer),
      },
      alive: () =>
        [B, C].filter((id) => !gone.has(id)).map((id) => ({ id, family: 4, announced: 4 })),
      isGone: (id) => gone.has(id),
      hostName: (id) => id[0] ?? '',
      changed: () => this.changes++,
    });
  }

  network(name: string, more: Partial<NetworkDefinition> = {}): NetworkDefinition {
    const id = name.charCodeAt(0).toString(16).padStart(32, '0');
    this.directory.putNetwork({
      ...{ name, id, vni: asVni(name.charCodeAt(0)), subnet: '10.7.0.0/24', mtu: 1450 },
      ...{ encap: 'vxlan', createdBy: A, createdAt: '2026-01-01T00:00:00Z' },
      ...more,
    });
    return this.directory.network(name) as NetworkDefinition;
  }

  endpoint(network: string, host: PeerId): void {
    this.directory.putEndpoint({
      ...{ id: `${network}-${host[0]}`, network, host, mac: asMac(0x02_00_00_00_00_01) },
      ...{ address: '10.7.0.2/24', ifname: 'eth0', sandbox: { path: '/x', inode: '1:1' } },
    });
  }

  async settle(): Promise<void> {
    this.mtus.refresh();
    await Promise.resolve();
  }
}

/** Blue on all three hosts. */
function shared(more: Partial<NetworkDefinition> = {}): { world: World; blue: NetworkDefinition } {
  const world = new World();
  const blue = world.network('blue', more);
  for (const host of [A, B, C]) world.endpoint('blue', host);
  return { world, blue };
}

test('the narrowest of the paths to hosts of a network counts, and is told', async (t) => {
  const { world, blue } = shared();
  world.paths.set(B, 1400).set(C, 1500);
  await world.settle();
  t.is(world.mtus.effective(blue), 1350);
  t.deepEqual(world.mtus.limit(blue), { mtu: 1350, from: A, to: B, pathMtu: 1400 });
  t.is(world.changes, 1);
  t.deepEqual(
    [...world.rows.entries()].map(({ value }) => value),
    [{ network: blue.id, host: A, peer: B, mtu: 1350, path: 1400 }],
  );
  t.regex(
    world.mtus.warnings().join(),
    /^Network blue has an MTU of 1350 instead of 1450: the path from host a to host b takes packets of 1400 bytes;/,
  );
});

test('what another host says of its own paths counts, until the path is gone', (t) => {
  const { world, blue } = shared();
  const row = { network: blue.id, host: B, peer: C, mtu: 1300, path: 1350 };
  world.rows.put(`${blue.id} ${B}`, row);
  t.is(world.mtus.effective(blue), 1300);
  world.gone.add(C);
  t.is(world.mtus.effective(blue), 1450);
});

test('lower at once, higher when nothing is being searched, and never above what it was made with', async (t) => {
  const { world, blue } = shared();
  world.paths.set(B, 1400);
  world.searching.add(C);
  await world.settle();
  t.is(world.mtus.effective(blue), 1350);
  world.paths.set(B, 9000);
  await world.settle();
  t.is(world.mtus.effective(blue), 1350, 'C may be narrower still');
  world.searching.delete(C);
  await world.settle();
  t.is(world.mtus.effective(blue), 1450);
  t.deepEqual([...world.rows.entries()], []);
  t.is(world.changes, 2);
});

test('a restart keeps what was known until the others are heard of', async (t) => {
  const { world, blue } = shared();
  const key = `${blue.id} ${A}`;
  world.rows.put(key, { network: blue.id, host: A, peer: B, mtu: 1350, path: 1400 });
  world.searching.add(B).add(C);
  await world.settle();
  t.is(world.mtus.effective(blue), 1350);
});

test('hosts that share no network are not looked at, nor does their path count', async (t) => {
  const world = new World();
  const blue = world.network('blue');
  world.network('green');
  world.endpoint('blue', A);
  world.endpoint('blue', B);
  world.endpoint('green', C);
  t.deepEqual(world.mtus.sharing(), [B]);
  world.paths.set(B, 1500).set(C, 700);
  await world.settle();
  t.is(world.mtus.effective(blue), 1450);
});

test('a network with IPv6 never has less than 1280, one of IPv4 what the least path leaves', async (t) => {
  for (const [more, least] of [
    [{ subnet6: 'fd00:7::/64' }, 1280],
    [{}, 552 - 50],
    [{ encap: 'sealed' }, 552 - 74],
  ] as const) {
    const { world, blue } = shared(more);
    world.paths.set(B, 552);
    await world.settle();
    t.is(world.mtus.effective(blue), least);
    t.is(world.mtus.isTooNarrow(blue), least === 1280);
  }
});

test('rows go with the network, the last endpoint, and the host', async (t) => {
  const { world, blue } = shared();
  world.paths.set(B, 1400);
  await world.settle();
  world.rows.put(`${blue.id} ${B}`, { network: blue.id, host: B, peer: A, mtu: 1300, path: 1350 });
  world.mtus.removeHost(B);
  t.is([...world.rows.entries()].length, 1);
  world.directory.removeEndpoint({ host: A, id: 'blue-a' });
  await world.settle();
  t.deepEqual([...world.rows.entries()], []);
  t.is(world.mtus.effective(blue), 1450);
});

test('traffic of a host is that of its address and of its locator', (t) => {
  const member = (id: PeerId, address: string): Parameters<typeof sentBytes>[1][number] => ({
    ...{ id, address: { address, port: 7783 } },
  });
  const vtep = (address: string, txBytes: number): Parameters<typeof sentBytes>[0][number] => ({
    ...{ vtep: { address, port: 1 }, txBytes },
  });
  const sent = sentBytes(
    [vtep('192.0.2.2', 10), vtep('192.0.2.2', 5), vtep(locatorOf(B), 100)],
    [member(B, '192.0.2.2'), member(C, '192.0.2.3')],
  );
  t.deepEqual(
    [...sent],
    [
      [B, 115],
      [C, 0],
    ],
  );
});

test('what became of a path is told in words', (t) => {
  t.deepEqual(describePathMtu({ mtu: 1400, previous: 1500, reason: 'black-hole' }, 'b'), [
    'b',
    'MTU of the path to b: 1500 -> 1400: larger packets are lost while small ones get through',
  ]);
});
