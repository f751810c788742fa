import test from 'ava';
import { asMac, asPeerId, asVni, type Mac, type PeerId, type Vni } from '../../src/base/types.ts';
import { Directory } from '../../src/daemon/directory.ts';
import { EndpointFeed, type FeedTarget } from '../../src/daemon/endpoint-feed.ts';
import type { FloodedVtep } from '../../src/daemon/fabric.ts';
import type {
  EndpointRecord,
  NetworkRecord,
  UseRecord,
  VtepRecord,
} from '../../src/daemon/records.ts';
import type { EndpointUpdate } from '../../src/dataplane/dataplane.ts';
import { endpointKey } from '../../src/daemon/row-owners.ts';
import { MemoryRows } from '../fakes/memory-rows.ts';

const SELF = asPeerId('0'.repeat(32));
const [B, C] = [asPeerId('b'.repeat(32)), asPeerId('c'.repeat(32))];
const BLUE = { network: 'blue', vni: asVni(7) };
const [AT_B, AT_C] = [
  { address: '192.0.2.2', port: 4789, meshPort: 7783, locator: 'fd00::2' },
  { address: '192.0.2.3', port: 4789, meshPort: 7783, locator: 'fd00::3' },
] as const;

/** A data plane by its rules: sets and removals in order, and what stands behind a VTEP goes with it. */
class FakeTarget implements FeedTarget {
  batches = 0;
  readonly vteps = new Map<string, FloodedVtep>();
  readonly pins = new Map<Mac, string>();
  readonly neighbours = new Map<string, Mac>();

  setVteps(vni: Vni, wanted: readonly FloodedVtep[]): void {
    for (const address of [...this.vteps.keys()]) {
      if (!wanted.some((vtep) => vtep.address === address)) this.setVtep(vni, address, undefined);
    }
    for (const vtep of wanted) this.setVtep(vni, vtep.address, vtep);
  }

  setVtep(_vni: Vni, address: string, wanted: FloodedVtep | undefined): void {
    if (wanted !== undefined) return void this.vteps.set(address, wanted);
    this.vteps.delete(address);
    for (const [mac, vtep] of this.pins) if (vtep === address) this.pins.delete(mac);
  }

  updateEndpoints(_vni: Vni, updates: readonly EndpointUpdate[]): void {
    this.batches++;
    for (const { kind, mac, vtep, addresses } of updates) {
      const texts = addresses.map((address) => Buffer.from(address).toString('hex'));
      if (kind === 'remove') {
        this.pins.delete(mac);
        for (const text of texts)
          if (this.neighbours.get(text) === mac) this.neighbours.delete(text);
      } else if (this.vteps.has(vtep)) {
        this.pins.set(mac, vtep);
        for (const text of texts) this.neighbours.set(text, mac);
      }
    }
  }

  /** `1@192.0.2.2`, sorted. */
  get pinned(): string[] {
    return [...this.pins].map(([mac, vtep]) => `${mac}@${vtep}`).sort();
  }

  /** Addresses that floods go to. */
  get flooded(): string[] {
    return [...this.vteps.values()].filter(({ floods }) => floods).map(({ address }) => address);
  }
}

/** Rows of endpoints, which a test names by the endpoint alone. */
class EndpointRows extends MemoryRows<EndpointRecord> {
  readonly #hosts = new Map<string, PeerId>();

  override put(id: string, value: EndpointRecord): void {
    this.#hosts.set(id, value.host);
    super.put(endpointKey({ id, host: value.host }), value);
  }

  override remove(id: string): void {
    const host = this.#hosts.get(id);
    if (host !== undefined) super.remove(endpointKey({ id, host }));
  }
}

function world() {
  const endpoints = new EndpointRows();
  const vteps = new MemoryRows<VtepRecord>();
  const directory = new Directory(SELF, {
    ...{ networks: new MemoryRows<NetworkRecord>(), uses: new MemoryRows<UseRecord>() },
    ...{ endpoints, vteps },
  });
  const target = new FakeTarget();
  const feed = new EndpointFeed(SELF, directory, target);
  endpoints.onChange((change) => feed.changeEndpoint(change));
  vteps.onChange((change) => feed.changeForeign(change));
  return { endpoints, vteps, directory, target, feed };
}

const row = (host: EndpointRecord['host'], mac: number, last = mac): EndpointRecord => ({
  ...{ network: 'blue', host, mac: asMac(mac), address: `10.7.${last >> 8}.${last & 255}/16` },
  ...{ ifname: 'eth0', sandbox: { path: '/run/netns/x', inode: '1:2' } },
});

/** What was queued reaches the target on a microtask. */
const settled = (): Promise<void> => Promise.resolve();

test('a network that is carried gets all VTEPs and all endpoints elsewhere, as one batch', (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.setMember(C, AT_C);
  endpoints.put('e1', row(B, 1));
  endpoints.put('e2', row(SELF, 2));
  endpoints.put('e3', { ...row(C, 3), network: 'red' });
  endpoints.put('e4', row(asPeerId('d'.repeat(32)), 4));
  feed.open(BLUE);
  t.deepEqual(target.pinned, ['1@192.0.2.2']);
  t.deepEqual([...target.neighbours], [['0a070001', asMac(1)]]);
  t.deepEqual([...target.vteps.keys()], ['192.0.2.2', '192.0.2.3']);
  t.deepEqual(target.flooded, ['192.0.2.2']);
  t.is(target.batches, 1);
});

test('on a sealed network members go by their locators, and nobody outside the mesh is reached', async (t) => {
  const { endpoints, vteps, target, feed } = world();
  vteps.put('blue 198.51.100.9', { network: 'blue', address: '198.51.100.9', port: 4789 });
  feed.setMember(B, AT_B);
  // Behind the same NAT, at another port.
  feed.setMember(C, { ...AT_C, address: AT_B.address, meshPort: 7784 });
  endpoints.put('e1', row(B, 1));
  endpoints.put('e2', row(C, 2));
  feed.open({ ...BLUE, isSealed: true });
  t.deepEqual(
    [...target.vteps.values()],
    [
      { address: 'fd00::2', port: 7783, floods: true, isSealed: true },
      { address: 'fd00::3', port: 7784, floods: true, isSealed: true },
    ],
  );
  t.deepEqual(target.pinned, ['1@fd00::2', '2@fd00::3']);
  feed.setMember(B, undefined);
  await settled();
  t.deepEqual([...target.vteps.keys()], ['fd00::3']);
  t.deepEqual(target.pinned, ['2@fd00::3']);
});

test('both addresses of an endpoint are answered for, and go with it', async (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  endpoints.put('e1', { ...row(B, 1), address6: 'fd00:7::1/64' });
  await settled();
  const address6 = 'fd000007000000000000000000000001';
  t.deepEqual([...target.neighbours.keys()], ['0a070001', address6]);
  endpoints.put('e1', row(B, 1));
  await settled();
  t.deepEqual([...target.neighbours.keys()], ['0a070001']);
  endpoints.put('e1', { ...row(B, 1), address6: 'fd00:7::1/64' });
  endpoints.remove('e1');
  await settled();
  t.is(target.neighbours.size, 0);
});

test('rows that come together are one batch; floods follow the first and last of a host', async (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  t.deepEqual(target.flooded, []);
  for (let mac = 1; mac <= 1000; mac++) endpoints.put(`e${mac}`, row(B, mac));
  t.deepEqual(target.flooded, ['192.0.2.2']);
  await settled();
  t.is(target.batches, 1);
  t.is(target.pins.size, 1000);
  for (let mac = 1; mac <= 1000; mac++) endpoints.remove(`e${mac}`);
  await settled();
  t.deepEqual([target.pins.size, target.neighbours.size], [0, 0]);
  t.deepEqual(target.flooded, []);
  t.true(target.vteps.has('192.0.2.2'), 'its frames are still taken');
});

test('an endpoint that moved is where its row says, in whichever order the rows come', async (t) => {
  for (const order of ['gone first', 'new first']) {
    const { endpoints, target, feed } = world();
    feed.setMember(B, AT_B);
    feed.setMember(C, AT_C);
    feed.open(BLUE);
    endpoints.put('old', row(B, 9));
    if (order === 'gone first') endpoints.remove('old');
    endpoints.put('new', row(C, 9));
    endpoints.remove('old');
    await settled();
    t.deepEqual(target.pinned, ['9@192.0.2.3'], order);
    t.deepEqual([...target.neighbours], [['0a070009', asMac(9)]], order);
    t.deepEqual(target.flooded, ['192.0.2.3'], order);
  }
});

test('of two that claim a MAC the later has it, and the other once that one is gone', async (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.setMember(C, AT_C);
  feed.open(BLUE);
  endpoints.put('one', row(B, 9, 1));
  endpoints.put('two', row(C, 9, 2));
  await settled();
  t.deepEqual(target.pinned, ['9@192.0.2.3']);
  endpoints.remove('two');
  await settled();
  t.deepEqual(target.pinned, ['9@192.0.2.2']);
  t.deepEqual([...target.neighbours.keys()], ['0a070001']);
});

test('an endpoint whose MAC, address or network changed leaves nothing behind', async (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  endpoints.put('e', row(B, 1));
  endpoints.put('e', row(B, 1, 5));
  endpoints.put('e', row(B, 2, 5));
  await settled();
  t.deepEqual(target.pinned, ['2@192.0.2.2']);
  t.deepEqual([...target.neighbours], [['0a070005', asMac(2)]]);
  endpoints.put('e', { ...row(B, 2, 5), network: 'red' });
  await settled();
  t.deepEqual([target.pins.size, target.neighbours.size, target.flooded.length], [0, 0, 0]);
});

test('a member that dies takes its own entries and no others; one that returns brings them back', (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.setMember(C, AT_C);
  feed.open(BLUE);
  endpoints.put('e1', row(B, 1));
  endpoints.put('e2', row(C, 2));
  feed.setMember(B, undefined);
  t.deepEqual(target.pinned, ['2@192.0.2.3']);
  t.deepEqual([...target.neighbours.values()], [asMac(2)]);
  t.deepEqual([...target.vteps.keys()], ['192.0.2.3']);
  feed.setMember(B, { ...AT_B, address: '192.0.2.22', port: 4790 });
  t.deepEqual(target.pinned, ['1@192.0.2.22', '2@192.0.2.3']);
  t.deepEqual(target.vteps.get('192.0.2.22'), { address: '192.0.2.22', port: 4790, floods: true });
  const { batches } = target;
  feed.setMember(B, { ...AT_B, address: '192.0.2.22', port: 4790 });
  t.is(target.batches, batches, 'news that changes nothing costs nothing');
});

test('a host that was made anew at its old address keeps the VTEP when the old one dies', (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  endpoints.put('e1', row(B, 1));
  feed.setMember(C, AT_B);
  feed.setMember(B, undefined);
  t.deepEqual([...target.vteps.values()], [{ address: AT_B.address, port: 4789, floods: false }]);
  t.deepEqual(target.pinned, []);
});

test('a foreign VTEP is flooded to, a member at its address or not', (t) => {
  const { vteps, target, feed } = world();
  feed.open(BLUE);
  vteps.put('blue 192.0.2.9', { network: 'blue', address: '192.0.2.9', port: 4789 });
  vteps.put('red 192.0.2.8', { network: 'red', address: '192.0.2.8', port: 4789 });
  t.deepEqual(target.flooded, ['192.0.2.9']);
  feed.setMember(B, { ...AT_B, address: '192.0.2.9', port: 4790 });
  t.deepEqual([...target.vteps.values()], [{ address: '192.0.2.9', port: 4789, floods: true }]);
  vteps.remove('blue 192.0.2.9');
  t.deepEqual([...target.vteps.values()], [{ address: '192.0.2.9', port: 4790, floods: false }]);
  feed.setMember(B, undefined);
  t.is(target.vteps.size, 0);
});

test('a MAC that was this host’s own goes to the endpoint elsewhere that claims it', (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  endpoints.put('e1', row(B, 1));
  feed.restore('blue', []);
  target.pins.clear();
  feed.restore('blue', [asMac(1), asMac(5)]);
  t.deepEqual(target.pinned, ['1@192.0.2.2']);
});

test('a network that is dropped hears of nothing, and is fed anew when it is carried again', async (t) => {
  const { endpoints, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.open(BLUE);
  endpoints.put('e1', row(B, 1));
  feed.close('blue');
  const { batches } = target;
  endpoints.put('e2', row(B, 2));
  endpoints.remove('e1');
  await settled();
  t.is(target.batches, batches);
  target.pins.clear();
  feed.open(BLUE);
  t.deepEqual(target.pinned, ['2@192.0.2.2']);
});

test('with 100,000 endpoints one change walks no table', async (t) => {
  const { endpoints, directory, target, feed } = world();
  feed.setMember(B, AT_B);
  feed.setMember(C, AT_C);
  for (let mac = 1; mac <= 100_000; mac++) endpoints.put(`e${mac}`, row(mac % 2 ? B : C, mac));
  feed.open(BLUE);
  t.is(target.pins.size, 100_000);
  const [before, { batches }] = [endpoints.walks, target];
  const start = performance.now();
  const changes = 1000;
  for (let index = 1; index <= changes; index++) {
    endpoints.put('new', row(index % 2 ? B : C, 200_000 + index));
    await settled();
  }
  const micros = ((performance.now() - start) / changes) * 1000;
  t.log(`a changed row among 100,000 endpoints takes ${micros.toFixed(0)} µs`);
  t.is(endpoints.walks, before);
  t.is(target.batches - batches, changes);
  t.is(directory.endpointsOf(SELF).length, 0);
  t.is(endpoints.walks, before);
});
