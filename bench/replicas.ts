/**
 * `node dist/bench/replicas.js` (after `npm run build`): what 100,000 endpoints on 200 hosts take of one
 * host's memory, and what a sync moves when a part of them differs. Both hosts' real machines, in this
 * process, by virtual time; no network. Takes half a minute.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../src/base/clock.ts';
import { seededRng, randomHex, type Rng } from '../src/base/rng.ts';
import { asMillis } from '../src/base/types.ts';
import { encodeCbor } from '../src/gossip/cbor.ts';
import { encodeRow } from '../src/gossip/cargo.ts';
import { presets } from '../src/gossip/config.ts';
import type { Effect, Instant } from '../src/gossip/effects.ts';
import { Machine } from '../src/gossip/machine.ts';
import type { Member } from '../src/gossip/member.ts';
import type { Row } from '../src/gossip/replica.ts';
import { signMember, signRow } from '../src/gossip/signatures.ts';
import { HostSignatures } from '../src/link/host-signatures.ts';
import { SigningKey } from '../src/link/signing-key.ts';
import { parseEndpointRecord } from '../src/daemon/records.ts';
import { endpointKey, endpointOwner, ownTable } from '../src/daemon/row-owners.ts';
import { markdownTable } from './lib/markdown.ts';

const HOSTS = 200;
const ENDPOINTS = 100_000;
const DIFFERING = [0, 1, 3, 10, 30, 100, 1000, 10_000, 100_000] as const;
/** From one change of rows to the next. */
const STEP_MS = 600_000;
/** More than a sync looks at before it walks down the tree. */
const LATEST = 20;
const MIB = 2 ** 20;
const WALL = Date.UTC(2026, 0, 1);
const AT: Instant = { now: asMillis(0), wall: WALL };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const newHost = (): HostSignatures => new HostSignatures(SigningKey.generate());

function machineOf(digit: number): Machine {
  const signatures = newHost();
  const machine = new Machine(
    {
      self: {
        id: signatures.idOf(signatures.publicKey),
        name: `host-${digit}`,
        address: { address: `192.0.2.${digit}`, port: 7783 },
        ...{ incarnation: 0, state: 'alive', protocol: { min: 1, max: 1 } },
        meta: new Uint8Array(),
      },
      signatures,
      ...{ label: 'bench', config: presets.lan, rng: seededRng(digit) },
    },
    AT,
  );
  machine.replica.define('endpoints', {
    ...ownTable(parseEndpointRecord, endpointOwner),
    valueBytes: 4096,
  });
  return machine;
}

/** Endpoint number `index` as its host would write it at `millis`; `version` changes its interface name. */
function endpoint(
  index: number,
  hosts: readonly HostSignatures[],
  { version, millis }: { readonly version: number; readonly millis: number },
  rng: Rng,
): Row {
  const signatures = hosts[index % HOSTS] as HostSignatures;
  const host = signatures.idOf(signatures.publicKey);
  const value = encodeCbor({
    ...{ network: 'production', host, mac: 0x02_00_5e_00_00_00 + index },
    address: `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`,
    ifname: `eth${version}`,
    sandbox: { path: `/run/netns/container-${index}`, inode: `${4_026_532_000 + index}` },
  });
  const stamp = { millis, count: version };
  const key = endpointKey({ host, id: randomHex(rng, 32) });
  return signRow({ table: 'endpoints', key, stamp, value }, signatures);
}

interface Memory {
  readonly heap: number;
  readonly buffers: number;
}

/** Bytes in use after all garbage is gone. */
function memory(): Memory {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, buffers: external };
}

interface Moved {
  readonly exchanges: number;
  readonly bytes: number;
  readonly longest: number;
  /** What the longest step of either host took, in ms: so long its event loop does nothing else. */
  readonly stepMs: number;
}

/** How long `step` took, in ms, and what it returned. */
function timed<T>(step: () => T): { readonly ms: number; readonly result: T } {
  const start = systemClock.now();
  const result = step();
  return { ms: systemClock.now() - start, result };
}

/** Lets `asking` join `other` and plays the exchanges through until none is under way. */
function sync(asking: Machine, other: Machine, at: Instant): Moved {
  const moved = { exchanges: 0, bytes: 0, longest: 0, stepMs: 0 };
  const queue: Effect[] = [...asking.join(other.self.address, at).effects];
  for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
    if (effect.kind !== 'exchange') continue;
    const request = Buffer.from(effect.request);
    const answered = timed(() => other.answer(request, asking.self.address, at));
    const { answer } = answered.result;
    if (answer === undefined) throw new Error('the request was not answered');
    moved.exchanges++;
    moved.bytes += request.length + answer.length;
    moved.longest = Math.max(moved.longest, request.length, answer.length);
    const { exchange } = effect;
    const taken = timed(() => asking.exchanged(exchange, Buffer.from(answer), at));
    moved.stepMs = Math.max(moved.stepMs, answered.ms, taken.ms);
    queue.push(...taken.result);
  }
  return moved;
}

/** Two hosts with the same 100,000 endpoints. */
class Pair {
  readonly asking = machineOf(1);
  readonly other = machineOf(2);
  readonly #hosts: readonly HostSignatures[];
  /** Syncs so far. */
  #turn = 0;

  constructor(hosts: readonly HostSignatures[]) {
    this.#hosts = hosts;
  }

  /** Loads one of the hosts; the other one when asked again. */
  load(machine: Machine): void {
    for (const row of this.#rows(ENDPOINTS, { version: 0, lag: 0 })) {
      machine.load(encodeRow(row), AT);
    }
  }

  /**
   * Changes `count` rows on one host, and lets the asking one sync.
   * @param lag  how long ago, in ms, the changes were made
   */
  differ(count: number, on: Machine, lag: number): string[] {
    const at = this.#instant();
    if (lag > STEP_MS) this.#agree(at);
    let differing = 0;
    for (const row of this.#rows(count, { version: this.#turn, lag })) {
      differing += encodeRow(row).length;
      on.replica.merge(row, at.wall, 'local');
    }
    const { exchanges, bytes, longest, stepMs } = sync(this.asking, this.other, at);
    if (!this.asking.replica.tree.root().equals(this.other.replica.tree.root())) {
      throw new Error('the replicas still differ');
    }
    const ratio = differing === 0 ? '–' : (bytes / differing).toFixed(2);
    return [count, differing, bytes, ratio, exchanges, longest, stepMs.toFixed(1)].map(String);
  }

  /** Both get the same rows, written now: what differs is not among the latest. */
  #agree({ wall }: Instant): void {
    const rng = seededRng(13);
    for (let index = 0; index < LATEST; index++) {
      const at = { version: this.#turn, millis: wall };
      const row = endpoint(ENDPOINTS + index, this.#hosts, at, rng);
      for (const { replica } of [this.asking, this.other]) replica.merge(row, wall, 'local');
    }
  }

  #instant(): Instant {
    const ms = ++this.#turn * STEP_MS;
    return { now: asMillis(ms), wall: WALL + ms };
  }

  *#rows(
    count: number,
    { version, lag }: { readonly version: number; readonly lag: number },
  ): Generator<Row> {
    const keys = seededRng(11);
    // One a millisecond, the last of them `lag` before now.
    const first = WALL + this.#turn * STEP_MS - lag - count;
    for (let index = 0; index < count; index++) {
      yield endpoint(index, this.#hosts, { version, millis: first + index }, keys);
    }
  }
}

/** A host that knows nobody joins a mesh of `count`, with 300 bytes of meta data each. */
function joinLarge(count: number): void {
  const known = machineOf(3);
  const members = Array.from({ length: count }, (_, index): Member => {
    const signatures = newHost();
    const address = { address: `10.9.${index >> 8}.${index & 255}`, port: 7783 };
    const record = {
      ...{ id: signatures.idOf(signatures.publicKey), name: `member-${index}`, address },
      ...{ incarnation: 1, state: 'alive' as const, protocol: { min: 1, max: 1 } },
      meta: new Uint8Array(300),
    };
    return { ...signMember(record, signatures), since: AT.now, sinceWall: AT.wall };
  });
  known.acquaint(members);
  const newcomer = machineOf(4);
  const { ms, result } = timed(() => sync(newcomer, known, AT));
  if (newcomer.members.length !== count + 1) throw new Error('the newcomer lacks members');
  console.log(
    `\nA host joins ${count} others: ${result.exchanges} exchanges, ${result.bytes} bytes, ${ms.toFixed(0)} ms for both hosts, the longest step ${result.stepMs.toFixed(1)} ms`,
  );
}

function main(): void {
  joinLarge(1000);
  const hosts = Array.from({ length: HOSTS }, newHost);
  const pair = new Pair(hosts);
  const { asking, other } = pair;
  const before = memory();
  pair.load(asking);
  const after = memory();
  const [heap, buffers] = [after.heap - before.heap, after.buffers - before.buffers];
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  console.log(
    `${ENDPOINTS} endpoints of ${HOSTS} hosts in one replica: ${mib(heap + buffers)} MiB (heap ${mib(heap)}, buffers ${mib(buffers)})`,
  );
  pair.load(other);
  const titles = ['rows that differ', 'their bytes', 'moved', 'ratio', 'exchanges', 'longest'];
  titles.push('longest step, ms');
  const columns = titles.map((title) => ({ title, align: 'right' as const }));
  for (const [what, on, lag] of [
    ['Changed on the other host lately, as while the asking one was down', other, 0],
    ['Changed on the asking host lately', asking, 0],
    // Before the sync of the turn before, and after the changes then.
    ['Changed on the other host before the latest rows, which are equal', other, STEP_MS + 200_000],
  ] as const) {
    const lines = DIFFERING.map((count) => pair.differ(count, on, lag));
    console.log(`\n${what}:\n\n${markdownTable(columns, lines)}`);
  }
}

main();
