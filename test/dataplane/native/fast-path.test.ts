import test from 'ava';
import { asMac, asVni } from '../../../src/base/types.ts';
import type { TrafficCounters } from '../../../src/dataplane/dataplane.ts';
import type { NativeFastPath, NativeRoute } from '../../../src/dataplane/native/addon.ts';
import { FastPath } from '../../../src/dataplane/native/fast-path.ts';

const VNI = asVni(42);
const ROUTE: NativeRoute = {
  ...{ ifindex: 7, device: 'eth0', source: '192.0.2.1', isEthernet: true },
  ...{ mtu: 1500, segmentsTunnels: true },
};

type VtepRow = readonly [string, string, number, number, number, boolean, boolean];

/** Holds what the kernel would. */
class FakeKernel implements NativeFastPath {
  readonly devices = new Map<string, number>();
  readonly endpoints = new Map<string, number>();
  readonly taps = new Set<number>();
  readonly vteps = new Map<number, VtepRow>();
  readonly underlays = new Set<number>();
  readonly counters = new Map<number, TrafficCounters>();
  refusal = 0;
  route: NativeRoute | undefined = ROUTE;
  onChange = (): void => undefined;

  /** Devices with a program. */
  readonly attached = new Set<number>();
  attachRefusal = 0;
  /** Calls that wait for the lock on links, if `isLocked`. */
  readonly waiting: (() => void)[] = [];
  isLocked = false;
  isClosed = false;

  load = (): undefined => undefined;
  probe = (): number => 0;
  findRoute = (): Promise<NativeRoute | undefined> => this.#locked(() => this.route);

  close(): void {
    this.isClosed = true;
  }

  /** Acts once the lock is free, as the real one does on another thread; one at a time. */
  async #locked<T>(act: () => T): Promise<T> {
    if (this.isClosed || this.waiting.length > 0) throw new Error('closed, or two at a time');
    if (this.isLocked) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.waiting.length = 0;
    return act();
  }

  unlock(): void {
    this.isLocked = false;
    for (const proceed of this.waiting) proceed();
  }

  attachEndpoint(ifindex: number): Promise<number> {
    return this.#locked(() => {
      if (this.attachRefusal === 0) this.attached.add(ifindex);
      return this.attachRefusal;
    });
  }

  detachEndpoint(ifindex: number): Promise<number> {
    return this.#locked(() => Number(!this.attached.delete(ifindex)));
  }

  deviceIndex = (name: string): number => this.devices.get(name) ?? 0;
  traffic = (id: number): TrafficCounters =>
    this.counters.get(id) ?? { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 };

  watchRoutes(onChange: () => void): number {
    this.onChange = onChange;
    return 0;
  }

  setEndpoint(...[vni, mac, ifindex, , tap]: Parameters<NativeFastPath['setEndpoint']>): number {
    this.taps.clear();
    this.taps.add(tap);
    if (this.refusal === 0) this.endpoints.set(`${vni}/${mac}/${ifindex}`, ifindex);
    return this.refusal;
  }

  removeEndpoint(vni: number, mac: number, ifindex: number): void {
    this.endpoints.delete(`${vni}/${mac}/${ifindex}`);
  }

  attachUnderlay(ifindex: number): Promise<number> {
    return this.#locked(() => {
      this.underlays.add(ifindex);
      return 0;
    });
  }

  detachUnderlay(ifindex: number): Promise<number> {
    return this.#locked(() => Number(!this.underlays.delete(ifindex)));
  }

  setVtep(
    ...[id, ...vtep]: [number, ...VtepRow]
  ): number {
    this.vteps.set(id, vtep);
    return 0;
  }

  removeVtep(id: number): void {
    this.vteps.delete(id);
    this.counters.delete(id);
  }
}

test('a VTEP is served through the interface that leads to it, and by super-frames if its host takes them', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  path.setVtep(VNI, 1, { address: '192.0.2.2', port: 4789 });
  await path.settled();
  t.deepEqual(kernel.vteps.get(1), ['192.0.2.1', '192.0.2.2', 4789, 7, 1500, false, false]);
  t.deepEqual([...kernel.underlays], [7]);
  path.setPeer('192.0.2.2', true);
  t.deepEqual(kernel.vteps.get(1), ['192.0.2.1', '192.0.2.2', 4789, 7, 1500, true, true]);

  kernel.route = { ...ROUTE, ifindex: 8, device: 'eth1', segmentsTunnels: false };
  kernel.onChange();
  await path.settled();
  t.deepEqual(kernel.vteps.get(1), ['192.0.2.1', '192.0.2.2', 4789, 8, 1500, false, true]);
  t.deepEqual([...kernel.underlays], [8]);

  kernel.route = undefined;
  kernel.onChange();
  await path.settled();
  t.is(kernel.vteps.size + kernel.underlays.size, 0);
  t.regex(path.describe(), /0 VTEPs; 0 frames carried; 1 VTEP by user space: .*no route/);
});

test('an IPv6 VTEP and a route without Ethernet are left to user space', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  path.setVtep(VNI, 1, { address: '2001:db8::2', port: 4789 });
  await path.settled();
  t.regex(path.describe(), /1 VTEP by user space: IPv6 underlay$/);
  kernel.route = { ...ROUTE, isEthernet: false };
  path.setVtep(VNI, 2, { address: '192.0.2.2', port: 4789 });
  await path.settled();
  t.is(kernel.vteps.size, 0);
});

test('endpoints follow what is wanted, by the device that is there', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  const [one, two] = [asMac(0x02_00_00_00_00_01), asMac(0x02_00_00_00_00_02)];
  kernel.devices.set('wv1', 11);
  path.setEndpoints(VNI, 1450, [
    { mac: one, device: 'wv1' },
    { mac: two, device: 'wv2' },
  ]);
  await path.settled();
  t.deepEqual([...kernel.endpoints.values()], [11]);
  // Made again: another index.
  kernel.devices.set('wv1', 12).set('wv2', 13);
  path.setEndpoints(VNI, 1450, [
    { mac: one, device: 'wv1' },
    { mac: two, device: 'wv2' },
  ]);
  await path.settled();
  t.deepEqual([...kernel.endpoints.values()], [12, 13]);
  t.deepEqual([...kernel.attached], [12, 13]);
  t.deepEqual([...kernel.taps], [0]);
  kernel.devices.set('wtap', 30);
  path.setPort(VNI, 1450, 'wtap');
  t.deepEqual([...kernel.taps], [30], 'the port came later');
  path.setPort(VNI, 1450, undefined);
  t.deepEqual([...kernel.taps], [0]);
  path.removeNetwork(VNI);
  await path.settled();
  t.is(kernel.endpoints.size + kernel.attached.size, 0);
});

test('a device that the kernel refuses is said and tried again', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  kernel.devices.set('wv1', 11);
  kernel.refusal = -12;
  const wanted = [{ mac: asMac(2 ** 41 + 1), device: 'wv1' }];
  path.setEndpoints(VNI, 1450, wanted);
  await path.settled();
  t.regex(path.describe(), /0 endpoints.*refused the device of network 42 \(ENOMEM\)/);
  kernel.refusal = 0;
  path.setEndpoints(VNI, 1450, wanted);
  await path.settled();
  t.regex(path.describe(), /1 endpoint, [^(]*$/);
});

test('a device that can not be attached is taken out again, and said', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  kernel.devices.set('wv1', 11);
  kernel.attachRefusal = -22;
  const wanted = [{ mac: asMac(2 ** 41 + 1), device: 'wv1' }];
  path.setEndpoints(VNI, 1450, wanted);
  await path.settled();
  t.is(kernel.endpoints.size, 0);
  t.regex(path.describe(), /0 endpoints.*refused the device of network 42 \(EINVAL\)/);
  kernel.attachRefusal = 0;
  path.setEndpoints(VNI, 1450, wanted);
  await path.settled();
  t.deepEqual([...kernel.attached], [11]);
});

test('nobody waits for the lock on links; what follows comes in its turn', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  kernel.isLocked = true;
  kernel.devices.set('wv1', 11).set('wv2', 12);
  const [one, two] = [asMac(2 ** 41 + 1), asMac(2 ** 41 + 2)];
  path.setVtep(VNI, 1, { address: '192.0.2.2', port: 4789 });
  path.setEndpoints(VNI, 1450, [{ mac: one, device: 'wv1' }]);
  path.setEndpoints(VNI, 1450, [{ mac: two, device: 'wv2' }]);
  path.setEndpoints(VNI, 1450, [{ mac: one, device: 'wv1' }]);
  t.deepEqual([...kernel.endpoints.values()], [11], 'its frames may go at once');
  await new Promise(setImmediate);
  t.is(kernel.attached.size + kernel.underlays.size, 0, 'the kernel is busy');
  kernel.unlock();
  await path.settled();
  t.deepEqual([...kernel.attached], [11]);
  t.deepEqual([...kernel.underlays], [7]);
});

test('closing waits for what is under way, and nothing begins after it', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  kernel.isLocked = true;
  path.setVtep(VNI, 1, { address: '192.0.2.2', port: 4789 });
  await new Promise(setImmediate);
  const closed = path.close();
  await new Promise(setImmediate);
  t.false(kernel.isClosed);
  kernel.unlock();
  await closed;
  t.true(kernel.isClosed);
  t.is(kernel.vteps.size + kernel.underlays.size, 0);
});

test('what a VTEP that is gone has carried stays in its network', async (t) => {
  const kernel = new FakeKernel();
  const path = new FastPath(kernel, '');
  path.setVtep(VNI, 1, { address: '192.0.2.2', port: 4789 });
  path.setVtep(VNI, 2, { address: '192.0.2.3', port: 4789 });
  await path.settled();
  const counted = { rxFrames: 1, rxBytes: 100, txFrames: 2, txBytes: 200 };
  kernel.counters.set(1, counted).set(2, counted);
  path.removeVtep(1);
  t.is(path.traffic(1).rxFrames, 0);
  t.deepEqual(path.traffic(2), counted);
  t.deepEqual(path.networkTraffic(VNI), {
    ...{ rxFrames: 2, rxBytes: 200, txFrames: 4, txBytes: 400 },
  });
  t.regex(path.describe(), /1 VTEP; 6 frames carried/);
});
