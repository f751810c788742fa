import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { createFrameBatch, frameOffset, type FrameBatch } from '../../src/base/frame-batch.ts';
import { loadDeviceClass } from '../../src/tun/addon.ts';
import { checkDeviceName } from '../../src/tun/arguments.ts';
import { Tap, type TapOptions } from '../../src/tun/tap.ts';
import { Tun } from '../../src/tun/tun.ts';
import { check } from '../fakes/property.ts';

const PROGRAM = fileURLToPath(new URL('../tun/tap-program.js', import.meta.url));
const MAX_FRAME = 1514;

let namespaces = 0;

function run(...[command = '', ...args]: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A network namespace of one test, without IPv6, whose own frames would disturb the counts. */
class Netns {
  readonly name = `weft-ttun${process.pid}-${++namespaces}`;
  readonly path = `/run/netns/${this.name}`;

  constructor(t: ExecutionContext) {
    run('ip', 'netns', 'add', this.name);
    t.teardown(() => void run('ip', 'netns', 'del', this.name));
    const conf = '/proc/sys/net/ipv6/conf';
    const off = `for f in ${conf}/*/disable_ipv6; do echo 1 > $f; done`;
    run('ip', 'netns', 'exec', this.name, 'sh', '-c', `[ ! -d ${conf} ] || { ${off}; }`);
  }

  ip(command: string): string {
    return run('ip', '-n', this.name, ...command.split(' '));
  }

  link(device: string): Link {
    const [link] = JSON.parse(this.ip(`-details -json link show ${device}`)) as [Link];
    return link;
  }

  names(): string[] {
    return (JSON.parse(this.ip('-json link')) as Link[]).map(({ ifname }) => ifname);
  }

  /** A bridge with these devices as ports, all up. With snooping it would speak IGMP itself. */
  bridge(...devices: readonly Tap[]): void {
    this.ip('link add br0 type bridge mcast_snooping 0');
    this.ip('link set br0 up');
    for (const device of devices) {
      this.ip(`link set ${device.name} master br0`);
      device.isUp = true;
    }
  }
}

interface Link {
  readonly ifname: string;
  readonly mtu: number;
  readonly address: string;
  readonly flags: readonly string[];
  readonly linkinfo: {
    readonly info_data: {
      readonly type: string;
      readonly multi_queue: boolean;
      readonly numqueues: number;
      readonly persist: boolean;
      readonly vnet_hdr: boolean;
    };
  };
}

function open(t: ExecutionContext, options: TapOptions): Tap {
  const tap = Tap.open(options);
  t.teardown(() => tap.close());
  return tap;
}

/** A broadcast of the local experimental EtherType; each `tag` is a flow of its own. */
function frame(tag: number, length = 60): Buffer {
  const bytes = Buffer.alloc(length, tag);
  Buffer.from('ffffffffffff0200000000', 'hex').copy(bytes);
  bytes.writeUInt16BE(0x88b5, 12);
  return bytes;
}

function fill(batch: FrameBatch, frames: readonly Buffer[]): FrameBatch {
  frames.forEach((bytes, slot) => {
    bytes.copy(batch.buffer, frameOffset(batch, slot));
    batch.lengths[slot] = bytes.length;
  });
  batch.count = frames.length;
  return batch;
}

function contents(batch: FrameBatch): Buffer[] {
  return Array.from({ length: batch.count }, (_, slot) => {
    const start = frameOffset(batch, slot);
    return Buffer.from(batch.buffer.subarray(start, start + (batch.lengths[slot] ?? 0)));
  });
}

const readable = (device: Tap | Tun): Promise<void> =>
  new Promise((resolve) => {
    device.onReadable(() => {
      device.onReadable(undefined);
      resolve();
    });
  });

const gone = (tap: Tap): Promise<void> => new Promise((resolve) => tap.onGone(resolve));

test('name, MTU, MAC and state are what ip shows, whoever sets them', (t) => {
  const netns = new Netns(t);
  const tap = open(t, { name: 'tap7', netns: netns.path, mtu: 9000, mac: '02:AA:00:00:00:01' });
  t.like(netns.link('tap7'), { mtu: 9000, address: '02:aa:00:00:00:01' });
  t.false(netns.link('tap7').flags.includes('UP'));
  t.is(netns.link('tap7').linkinfo.info_data.type, 'tap');
  t.is(tap.mac, '02:aa:00:00:00:01');

  tap.isUp = true;
  tap.mtu = 1400;
  tap.mac = '02:00:00:00:00:09';
  t.true(netns.link('tap7').flags.includes('UP'));
  t.like(netns.link('tap7'), { mtu: 1400, address: '02:00:00:00:00:09' });

  netns.ip('link set tap7 down');
  netns.ip('link set tap7 mtu 1234 address 02:00:00:00:00:0a name renamed');
  const seen = [tap.name, tap.mtu, tap.mac, tap.isUp];
  t.deepEqual(seen, ['renamed', 1234, '02:00:00:00:00:0a', false]);
  t.throws(() => (tap.mtu = 70000), { code: 'E_MTU_RANGE' });
  t.throws(() => (tap.mac = '03:00:00:00:00:01'), { code: 'E_MAC_INVALID' });
  t.like(netns.link('renamed'), { mtu: 1234, address: '02:00:00:00:00:0a' });
});

test('a pattern is numbered by the kernel, and both bounds of the MTU are taken', (t) => {
  const netns = new Netns(t);
  const first = open(t, { netns: netns.path, mtu: 68 });
  const second = open(t, { netns: netns.path, mtu: 65521 });
  t.deepEqual([first.name, second.name], ['weft0', 'weft1']);
  t.deepEqual([first.mtu, second.mtu], [68, 65521]);
});

test('a TUN device carries IP packets without Ethernet headers', async (t) => {
  const netns = new Netns(t);
  const tun = Tun.open({ name: 'tun7', netns: netns.path });
  t.teardown(() => tun.close());
  t.is(netns.link('tun7').linkinfo.info_data.type, 'tun');
  netns.ip('addr add 10.9.0.1/24 dev tun7');
  tun.isUp = true;
  // An ICMP echo request from 10.9.0.2 to 10.9.0.1, to which the kernel answers.
  const echo = Buffer.from('4500001c00004000400126cd0a0900020a0900010800f7fc00010002', 'hex');
  t.true(tun.writeFrame(echo, 0, echo.length));
  const batch = createFrameBatch(4, 1500, 0);
  await readable(tun);
  t.is(tun.readBatch(batch), 1);
  const reply = contents(batch)[0];
  t.is(reply?.[0], 0x45);
  t.is(reply?.readUInt32BE(12), 0x0a090001);
  t.is(reply?.[20], 0);
});

test('frames cross a bridge between two devices in batches with headroom', async (t) => {
  const netns = new Netns(t);
  const [a, b] = [open(t, { netns: netns.path }), open(t, { netns: netns.path })];
  netns.bridge(a, b);
  const sent = Array.from({ length: 20 }, (_, tag) => frame(tag, 60 + tag * 70));
  const output = createFrameBatch(32, MAX_FRAME, 50);
  const input = createFrameBatch(16, MAX_FRAME, 70);
  t.is(a.writeBatch(fill(output, sent)), 20);
  await readable(b);
  t.is(b.readBatch(input), 16);
  const received = contents(input);
  t.is(b.readBatch(input), 4);
  received.push(...contents(input));
  t.deepEqual(received, sent);
  t.is(b.readBatch(input), 0);
  t.is(input.count, 0);
  t.deepEqual(input.buffer.subarray(0, 70), Buffer.alloc(70));
  t.is(a.readBatch(input), 0);
});

test('one frame is written from the middle of a buffer', async (t) => {
  const netns = new Netns(t);
  const [a, b] = [open(t, { netns: netns.path }), open(t, { netns: netns.path })];
  netns.bridge(a, b);
  const batch = createFrameBatch(4, MAX_FRAME, 0);
  t.true(a.writeFrame(Buffer.concat([Buffer.alloc(9), frame(5), Buffer.alloc(9)]), 9, 69));
  await readable(b);
  b.readBatch(batch);
  t.deepEqual(contents(batch), [frame(5)]);
});

test('a frame longer than the room is cut, keeps its neighbours and tells its full length', async (t) => {
  const netns = new Netns(t);
  const [a, b] = [open(t, { netns: netns.path }), open(t, { netns: netns.path })];
  netns.bridge(a, b);
  a.writeBatch(fill(createFrameBatch(2, MAX_FRAME, 0), [frame(1, 1000), frame(2)]));
  const input = createFrameBatch(2, 100, 10);
  await readable(b);
  t.is(b.readBatch(input), 2);
  t.deepEqual([...input.lengths], [1000, 60]);
  t.deepEqual(input.buffer.subarray(10, 110), frame(1, 1000).subarray(0, 100));
  t.deepEqual(input.buffer.subarray(120, 180), frame(2));
  t.is(b.writeBatch(input), 1, 'the cut frame is not sent on');
});

test('a runt, and any frame while the device is down, is refused without an error', (t) => {
  const netns = new Netns(t);
  const tap = open(t, { netns: netns.path });
  const batch = fill(createFrameBatch(3, MAX_FRAME, 0), [frame(1), Buffer.alloc(13), frame(2)]);
  t.is(tap.writeBatch(batch), 0);
  t.false(tap.writeFrame(frame(1), 0, 60));
  tap.isUp = true;
  t.is(tap.writeBatch(batch), 2);
});

test('a batch that lies about its buffer is a bug, not a read past the end', (t) => {
  const tap = open(t, { netns: new Netns(t).path });
  const sound = createFrameBatch(4, MAX_FRAME, 0);
  for (const lie of [{ capacity: 5 }, { headroom: MAX_FRAME }, { slotBytes: MAX_FRAME + 1 }]) {
    t.throws(() => tap.readBatch({ ...sound, ...lie }), { name: 'AssertionError' });
  }
  t.throws(() => tap.writeFrame(Buffer.alloc(60), 0, 61), { name: 'AssertionError' });
});

test('with a virtio-net header each slot begins with it', async (t) => {
  const netns = new Netns(t);
  const offloads = ['checksum', 'tso4'] as const;
  const a = open(t, { netns: netns.path, vnetHeader: 12, offloads });
  const b = open(t, { netns: netns.path });
  t.is(a.vnetHeaderBytes, 12);
  t.true(netns.link(a.name).linkinfo.info_data.vnet_hdr);
  netns.bridge(a, b);
  const batch = createFrameBatch(2, 12 + MAX_FRAME, 0);
  t.is(a.writeBatch(fill(batch, [Buffer.concat([Buffer.alloc(12), frame(1)])])), 1);
  t.true(b.writeFrame(frame(2), 0, 60));
  await Promise.all([readable(a), readable(b)]);
  a.readBatch(batch);
  const [received] = contents(batch);
  t.is(received?.length, 72);
  t.deepEqual(received?.subarray(12), frame(2));
  b.readBatch(batch);
  t.deepEqual(contents(batch), [frame(1)]);
});

test('flows are spread over queues, and every queue is read', async (t) => {
  const netns = new Netns(t);
  const many = open(t, { netns: netns.path, queues: 3 });
  const one = open(t, { netns: netns.path });
  t.is(many.fds.length, 3);
  t.like(netns.link(many.name).linkinfo.info_data, { multi_queue: true, numqueues: 3 });
  netns.bridge(many, one);
  const sent = Array.from({ length: 64 }, (_, tag) => frame(tag));
  one.writeBatch(fill(createFrameBatch(64, MAX_FRAME, 0), sent));
  await readable(many);
  const batch = createFrameBatch(8, MAX_FRAME, 0);
  const tags = new Set<number | undefined>();
  while (many.readBatch(batch) > 0) for (const bytes of contents(batch)) tags.add(bytes[20]);
  t.is(tags.size, 64);
});

for (const queues of [1, 2]) {
  test(`a persistent device of ${queues} queues survives its owner, is taken back, is removed`, (t) => {
    const netns = new Netns(t);
    const options = { name: 'keep', netns: netns.path, queues };
    Tap.open({ ...options, persistent: true, mac: '02:00:00:00:00:07' }).close();
    t.true(netns.link('keep').linkinfo.info_data.persist);
    const again = open(t, options);
    t.deepEqual([again.mac, again.isPersistent], ['02:00:00:00:00:07', true]);
    again.close();
    Tap.remove(options);
    t.deepEqual(netns.names(), ['lo']);
    t.throws(() => Tap.remove(options), {
      code: 'E_DEVICE_MISSING',
      message: 'There is no TAP device "keep"; see "ip link".',
    });
  });
}

test('persistence can be ended by its owner, and not by another while it is open', (t) => {
  const netns = new Netns(t);
  const tap = open(t, { name: 'brief', netns: netns.path, persistent: true });
  t.throws(() => Tap.remove({ name: 'brief', netns: netns.path }), { code: 'E_DEVICE_BUSY' });
  tap.isPersistent = false;
  tap.close();
  t.deepEqual(netns.names(), ['lo']);
});

test('opening elsewhere, well or badly, leaves our own namespace as it was', (t) => {
  const here = (): readonly string[] => [
    readlinkSync('/proc/thread-self/ns/net'),
    run('ip', '-brief', 'link'),
  ];
  const netns = new Netns(t);
  const before = here();
  const tap = open(t, { name: 'elsewhere', netns: netns.path });
  t.deepEqual(here(), before);
  t.throws(() => Tap.open({ name: 'elsewhere', netns: netns.path }), { code: 'E_DEVICE_BUSY' });
  t.throws(() => Tap.open({ netns: `${netns.path}-not` }), { code: 'E_SANDBOX_MISSING' });
  t.throws(() => Tap.open({ netns: '/proc/self/ns/uts' }), { code: 'E_SANDBOX_MISSING' });
  t.deepEqual(here(), before);
  t.is(tap.name, 'elsewhere');
});

test('each refusal has its code and its sentence, and leaves nothing', (t) => {
  const netns = new Netns(t);
  netns.ip('link add veth0 type veth peer name veth1');
  open(t, { name: 'taken', netns: netns.path });
  open(t, { name: 'queued', netns: netns.path, queues: 2 });
  const before = netns.names();
  const refused = (name: string, code: string, message: RegExp): void => {
    t.throws(() => Tap.open({ name, netns: netns.path }), { code, message }, name);
  };
  refused('taken', 'E_DEVICE_BUSY', /^The TAP device "taken" is in use by another process/);
  refused('veth0', 'E_IFNAME_TAKEN', /^"veth0" is the name of an interface that is no TAP device/);
  refused('queued', 'E_IFNAME_TAKEN', /with as many queues; choose another name/);
  t.throws(() => Tun.open({ name: 'taken', netns: netns.path }), { code: 'E_IFNAME_TAKEN' });
  t.deepEqual(netns.names(), before);
});

test('what is no network namespace is E_SANDBOX_MISSING, a FIFO too', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-ttun-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'file'), '');
  run('mkfifo', join(folder, 'fifo'));
  for (const path of ['none', 'file', 'fifo', 'file/below'].map((name) => join(folder, name))) {
    t.throws(() => Tap.open({ name: 'x', netns: path }), {
      code: 'E_SANDBOX_MISSING',
      message: new RegExp(`^The TAP device "x" can't be opened in "${path}", which is no network`),
    });
  }
});

test('names: what the check passes the kernel takes, and the other way round', (t) => {
  const netns = new Netns(t);
  const NativeDevice = loadDeviceClass();
  const kernelTakes = (name: string): boolean => {
    const device = new NativeDevice();
    const mode = { tap: true, mustExist: false, multiQueue: false, queues: 1 };
    const options = { name, netns: netns.path, ...mode, vnetHeaderBytes: 0, offloads: 0 };
    const failure = device.open(options, () => t.fail('gone'));
    device.close();
    return failure === undefined;
  };
  const passes = (name: string): boolean => {
    try {
      return checkDeviceName(name) === name;
    } catch {
      return false;
    }
  };
  const letters = fc.constantFrom('a', '7', '.', '-', 'é', 'à', '%', 'd', '/', ':', ' ', '\t');
  const names = fc
    .string({ unit: letters, minLength: 1, maxLength: 15 })
    .filter((name) => Buffer.byteLength(name) < 16);
  const examples = ['all', 'default', '.', '..', '%d', 'a%dd', '%%d'];
  const mixed = fc.oneof({ weight: 4, arbitrary: names }, fc.constantFrom(...examples));
  t.notThrows(() =>
    check(
      fc.property(mixed, (name) => passes(name) === kernelTakes(name)),
      60,
    ),
  );
});

for (const way of ['listens', 'reads', 'does neither']) {
  test(`deletion is told once to an owner that ${way}`, async (t) => {
    const netns = new Netns(t);
    const tap = open(t, { name: 'doomed', netns: netns.path, queues: 2 });
    const batch = createFrameBatch(4, MAX_FRAME, 0);
    let calls = 0;
    tap.isUp = true;
    tap.onGone(() => calls++);
    if (way === 'listens') tap.onReadable(() => void tap.readBatch(batch));
    netns.ip('link del doomed');
    if (way === 'reads') t.is(tap.readBatch(batch), 0);
    await gone(tap);
    t.is(calls, 1);
    t.is(tap.readBatch(batch), 0);
    t.is(tap.writeBatch(fill(batch, [frame(1)])), 0);
    t.false(tap.writeFrame(frame(1), 0, 60));
    tap.onReadable(() => t.fail('a gone device was readable'));
    t.is(tap.name, 'doomed');
    t.throws(() => tap.mtu, { code: 'E_DEVICE_MISSING', message: /^The device "doomed" is gone/ });
    await gone(tap);
    // The end of another device gives the event loop occasion for a second call, were there one.
    const next = open(t, { name: 'next', netns: netns.path });
    netns.ip('link del next');
    await gone(next);
    t.is(calls, 1);
  });
}

test('the end of other devices, a rename and a change of namespace are no end', async (t) => {
  const [netns, other] = [new Netns(t), new Netns(t)];
  const tap = open(t, { name: 'stays', netns: netns.path });
  const doomed = open(t, { name: 'doomed', netns: netns.path });
  tap.onGone(() => t.fail('it is not gone'));
  netns.ip('link set stays name moved');
  netns.ip(`link set moved netns ${other.name}`);
  netns.ip('link del doomed');
  await gone(doomed);
  t.is(tap.name, 'moved');
  t.throws(() => tap.mtu, { code: 'E_DEVICE_MISSING', message: /moved to another namespace/ });
  other.ip('link set moved up');
  t.true(tap.writeFrame(frame(1), 0, 60));
});

test('a closed device does nothing, twice', (t) => {
  const netns = new Netns(t);
  const tap = open(t, { netns: netns.path });
  tap.onReadable(() => t.fail('readable after close'));
  tap.onGone(() => t.fail('gone after close'));
  tap.close();
  tap.close();
  t.deepEqual(netns.names(), ['lo']);
  t.is(tap.readBatch(createFrameBatch(1, MAX_FRAME, 0)), 0);
  t.false(tap.writeFrame(frame(1), 0, 60));
  tap.onReadable(() => t.fail('readable after close'));
  t.throws(() => tap.mtu, { code: 'E_DEVICE_MISSING', message: /has been closed; open it again/ });
});

test('neither opening, nor failing to, nor a deletion leaves a descriptor', async (t) => {
  const netns = new Netns(t);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  open(t, { name: 'taken', netns: netns.path });
  const before = descriptors();
  for (let round = 0; round < 20; round++) {
    const tap = Tap.open({ name: 'brief', netns: netns.path, queues: 3 });
    tap.onReadable(() => undefined);
    t.is(descriptors(), before + 4);
    tap.close();
    t.throws(() => Tap.open({ name: 'taken', netns: netns.path }), { code: 'E_DEVICE_BUSY' });
    t.throws(() => Tap.open({ netns: '/proc/self/ns/uts' }), { code: 'E_SANDBOX_MISSING' });
    t.throws(() => Tap.remove({ name: 'none', netns: netns.path }), { code: 'E_DEVICE_MISSING' });
  }
  const doomed = Tap.open({ name: 'doomed', netns: netns.path });
  netns.ip('link del doomed');
  await gone(doomed);
  doomed.close();
  t.is(descriptors(), before);
});

test('100,000 frames leave the memory as it was', (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const netns = new Netns(t);
  const [a, b] = [open(t, { netns: netns.path }), open(t, { netns: netns.path })];
  netns.bridge(a, b);
  const output = createFrameBatch(100, MAX_FRAME, 50);
  const input = createFrameBatch(128, MAX_FRAME, 50);
  const frames = Array.from({ length: 100 }, (_, tag) => frame(tag, 1000));
  const exchange = (rounds: number): number => {
    let received = 0;
    for (let round = 0; round < rounds; round++) {
      a.writeBatch(fill(output, frames));
      received += b.readBatch(input);
    }
    return received;
  };
  const used = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  exchange(50);
  const before = used();
  const resident = process.memoryUsage.rss();
  t.is(exchange(1000), 100_000);
  const kept = used() - before;
  t.true(kept < 200_000, `${kept} bytes more in the heap`);
  const grown = process.memoryUsage.rss() - resident;
  t.true(grown < 16 * 2 ** 20, `${grown} bytes more resident`);
});

/** A child process that prints lines; killed when the test ends. */
class Child {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string, undefined>;
  readonly #ended: Promise<readonly [status: number | null, signal: string | null]>;

  constructor(t: ExecutionContext, [command = '', ...args]: readonly string[]) {
    this.#process = spawn(command, args);
    this.#process.stderr.on('data', (text: Buffer) => t.log(text.toString()));
    const lines = createInterface(this.#process.stdout);
    this.#lines = lines[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
    this.#ended = once(this.#process, 'exit') as Promise<[number | null, string | null]>;
    t.teardown(() => this.#process.kill('SIGKILL'));
  }

  /** The next line; undefined once there is no more. */
  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  async status(): Promise<number | null> {
    return (await this.#ended)[0];
  }

  /** Milliseconds from SIGTERM to the end. */
  async terminate(): Promise<number> {
    const start = performance.now();
    this.#process.kill('SIGTERM');
    await this.#ended;
    return performance.now() - start;
  }
}

/** test/tun/tap-program.ts in `mode`. */
function program(t: ExecutionContext, mode: string, netns: Netns): Child {
  return new Child(t, [process.execPath, PROGRAM, mode, netns.path]);
}

for (const [mode, status] of [
  ['close-on-signal', 0],
  ['exit-on-signal', 7],
] as const) {
  test(`a process that listens ends within 1 s when told to, not before (${mode})`, async (t) => {
    const netns = new Netns(t);
    const child = program(t, mode, netns);
    t.is(await child.line(), 'open');
    const tookMs = await child.terminate();
    t.is(await child.status(), status);
    t.is(await child.line(), 'told to end');
    t.true(tookMs < 1000, `${tookMs} ms`);
    t.deepEqual(netns.names(), ['lo']);
  });
}

for (const mode of ['return', 'stop-listening']) {
  test(`a process that does not listen ends by itself (${mode})`, async (t) => {
    const netns = new Netns(t);
    const child = program(t, mode, netns);
    t.is(await child.line(), 'open');
    t.is(await child.status(), 0);
    t.is(await child.line(), undefined);
    t.deepEqual(netns.names(), ['lo']);
  });
}

test('a gone device lets its process end', async (t) => {
  const netns = new Netns(t);
  const child = program(t, 'until-gone', netns);
  t.is(await child.line(), 'open');
  netns.ip('link del weft0');
  t.is(await child.line(), 'gone');
  t.is(await child.line(), undefined);
  t.is(await child.status(), 0);
});

test('a worker thread that ends lets go of its device', async (t) => {
  const child = program(t, 'terminate-worker', new Netns(t));
  t.is(await child.line(), 'open in the worker');
  t.is(await child.line(), 'reopened weft0');
  t.is(await child.status(), 0);
});

test('a process exits while a worker thread listens', async (t) => {
  const child = program(t, 'exit-with-worker', new Netns(t));
  t.is(await child.line(), 'open in the worker');
  t.is(await child.status(), 7);
});

test('what a listener throws is an uncaught exception', async (t) => {
  const netns = new Netns(t);
  const child = program(t, 'throw-in-listener', netns);
  t.is(await child.line(), 'open');
  // Asking for a neighbour makes the kernel send an ARP request out of the device.
  netns.ip('addr add 10.9.0.1/24 dev weft0');
  const ping = new Child(t, ['ip', 'netns', 'exec', netns.name, 'ping', '-c1', '10.9.0.2']);
  t.is(await child.line(), 'thrown by the listener');
  t.is(await child.status(), 0);
  await ping.terminate();
});

test('without privileges it is E_PERMISSION', async (t) => {
  const child = program(t, 'open-as-nobody', new Netns(t));
  t.regex(
    (await child.line()) ?? '',
    /^E_PERMISSION Opening the TAP device "weft0" is not permitted \(E(PERM|ACCES)\); run Weft as root/,
  );
  t.regex((await child.line()) ?? '', /^E_PERMISSION .*CAP_SYS_ADMIN/);
});

test('without /dev/net/tun it is E_PLATFORM', async (t) => {
  const netns = new Netns(t);
  const hide = 'mount -t tmpfs none /dev/net && exec "$@"';
  const node = [process.execPath, PROGRAM, 'report-error', netns.path];
  const child = new Child(t, ['unshare', '--mount', 'sh', '-c', hide, 'sh', ...node]);
  t.regex(
    (await child.line()) ?? '',
    /^E_PLATFORM \/dev\/net\/tun is missing \(ENOENT\); load the/,
  );
});
