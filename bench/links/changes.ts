import { setTimeout as pause } from 'node:timers/promises';
import { blackHole } from '../lib/black-hole.ts';
import type { IperfReport } from '../lib/lab.ts';
import { SequenceFlow } from '../lib/sequence-flow.ts';
import { until } from '../lib/until.ts';
import { CONGESTION_CONTROL } from '../probes/tcp.ts';
import type { WeftHost } from '../lib/weft-host.ts';
import type { Figure } from './figure.ts';
import { addressOf, linkTo, waitForPath, type LinkMesh } from './mesh.ts';
import { dipsOf, secondsOf } from './tcp-flow.ts';

/** The least that there is: keys change twice in a run. */
const REKEY = ['--link-rekey-seconds', '10'] as const;
const SECONDS = 22;
const SWITCH_SECONDS = 14;
const ROTATE_AFTER_MS = 4_000;
const HEAL_AFTER_MS = 3_000;
const WATCH_MS = 100;
/** Keys are not changed more often. */
const REKEY_SEEN_MS = 2_000;
const LONG_MS = 60_000;
const MUST_DIP = 0.2;
const EVERY_MS = 2;
const V4 = /^direct 192\.0\.2\.2:/;
const V6 = /^direct \[2001:db8::2\]:/;

/** As long as what is compared with it. */
const CONTROL_SECONDS = SECONDS;
/** On the way of datagrams that are lost: drop counters of both hosts, by name. */
type Drops = ReadonlyMap<string, number>;

interface Run {
  readonly report: IperfReport;
  /** Of what happened, in seconds since the load began. */
  readonly events: readonly number[];
  readonly lost: number;
  /** What the two hosts say of lost ones; those that containers' own queues lose are not theirs. */
  readonly drops: readonly string[];
}

/** Tells when things happen, in seconds since the load began. */
type Note = () => void;

async function dropsOf({ hosts }: LinkMesh): Promise<Drops> {
  const sums = new Map<string, number>();
  for (const host of hosts) {
    const { drops } = (await host.control.status()).dataPlane;
    for (const [reason, count] of Object.entries(drops)) {
      sums.set(reason, (sums.get(reason) ?? 0) + count);
    }
  }
  return sums;
}

function newDrops(before: Drops, after: Drops): string[] {
  return [...after]
    .map(([reason, count]) => [reason, count - (before.get(reason) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${reason}`);
}

/** Loads the link with TCP and counted datagrams while `act` does something. */
async function under(
  mesh: LinkMesh,
  seconds: number,
  port: number,
  act: (note: Note, isOver: () => boolean) => Promise<void>,
): Promise<Run> {
  const [web, db] = mesh.containers;
  if (!web || !db) throw new Error('two containers are wanted');
  const flow = await SequenceFlow.start(web, db, addressOf(1), EVERY_MS, port);
  await flow.goesOn();
  const { lost } = flow.now;
  const dropped = await dropsOf(mesh);
  const events: number[] = [];
  const started = performance.now();
  let isOver = false;
  const load = web
    .iperfTo(db, { address: addressOf(1), seconds, extra: ['-C', CONGESTION_CONTROL] })
    .finally(() => (isOver = true));
  const [report] = await Promise.all([
    load,
    act(
      () => events.push((performance.now() - started) / 1000),
      () => isOver,
    ),
  ]);
  await flow.goesOn();
  const drops = newDrops(dropped, await dropsOf(mesh));
  const run = { report, events, lost: flow.now.lost - lost, drops };
  await flow.stop();
  return run;
}

const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

const wordsOf = (drops: readonly string[]): string =>
  drops.length === 0 ? '' : `; dropped: ${drops.join(', ')}`;

function figure(what: string, { report, events, lost, drops }: Run, counted: string): Figure {
  const { atEvents, elsewhere } = dipsOf(secondsOf(report), events);
  return {
    what: `${what}: lost datagrams, TCP's dip over 1 s`,
    must: `0, ≤ ${percent(MUST_DIP)}`,
    seen: `${lost}, ${percent(atEvents)} (${percent(elsewhere)} in other seconds; ${counted}${wordsOf(drops)})`,
    isReached: lost === 0 && atEvents <= MUST_DIP && events.length > 0,
    values: { lost, dip: atEvents, dipElsewhere: elsewhere, events: events.length },
  };
}

/** When the keys in use were agreed on, in ms since 1970; written from their age, so not to the millisecond. */
async function handshakeOf(a: WeftHost): Promise<number> {
  return Date.parse((await linkTo(a, 'b')).lastHandshake ?? '');
}

async function measureKeys(mesh: LinkMesh): Promise<Figure> {
  const [a] = mesh.hosts;
  if (a === undefined) throw new Error('there is no host');
  let rekeys = 0;
  const run = await under(mesh, SECONDS, 7003, async (note, isOver) => {
    const started = performance.now();
    let isRotated = false;
    let last = await handshakeOf(a);
    while (!isOver()) {
      await pause(WATCH_MS);
      if (!isRotated && performance.now() - started > ROTATE_AFTER_MS) {
        isRotated = true;
        note();
        await a.control.rotateKeys();
      }
      const latest = await handshakeOf(a);
      if (latest - last < REKEY_SEEN_MS) continue;
      last = latest;
      rekeys++;
      note();
    }
  });
  await until(
    'all hosts to seal with the new key',
    async () =>
      (await a.control.listKeys()).some(
        ({ number, sealedWithBy }) => number === 2 && sealedWithBy.length === mesh.hosts.length - 1,
      ),
    LONG_MS,
  );
  return figure('keys rotate and links rekey', run, `1 rotation, ${rekeys} rekeys`);
}

async function measureSwitch(mesh: LinkMesh): Promise<Figure> {
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts are wanted');
  await waitForPath(a, 'b', V4);
  const hole = await blackHole(b.host.namespace, 'iifname u0 ip protocol udp');
  await waitForPath(a, 'b', V6);
  const run = await under(mesh, SWITCH_SECONDS, 7004, async (note) => {
    await pause(HEAL_AFTER_MS);
    await hole.undo();
    await waitForPath(a, 'b', V4);
    note();
  });
  return figure('a better path is taken', run, `${run.events.length} switch`);
}

/** The same load while nothing changes: what the machine does by itself. */
async function measureControl(mesh: LinkMesh): Promise<Figure> {
  const { report, lost, drops } = await under(mesh, CONTROL_SECONDS, 7005, () => Promise.resolve());
  const { elsewhere } = dipsOf(secondsOf(report), []);
  return {
    what: "for comparison, nothing changes: lost datagrams, TCP's dip over 1 s",
    must: '',
    seen: `${lost}, ${percent(elsewhere)}${wordsOf(drops)}`,
    isReached: true,
    values: { lost, dipElsewhere: elsewhere },
  };
}

/** What a link changes by its own choice, under TCP and counted datagrams. Restarts the daemons. */
export async function measureChanges(mesh: LinkMesh): Promise<Figure[]> {
  const control = await measureControl(mesh);
  await mesh.restart(...REKEY);
  return [control, await measureKeys(mesh), await measureSwitch(mesh)];
}
