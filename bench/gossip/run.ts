/** `npm run bench -- gossip`: real member processes on one loopback, Weft's and serf's. */
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Lab, type LabNamespace } from '../lib/lab.ts';
import { describeMachine, machineFacts } from '../lib/machine.ts';
import { markdownTable } from '../lib/markdown.ts';
import type { GossipOptions } from '../lib/options.ts';
import { readRunSeconds } from '../lib/proc.ts';
import { summarize } from '../lib/statistics.ts';
import { installPackages } from '../peers/install.ts';
import type { GossipAgent, GossipContender } from './contender.ts';
import { serf } from './serf.ts';
import { countTraffic, ratesOf, readTraffic, type Rates } from './traffic.ts';
import { weft, weftOpen } from './weft.ts';

export const GOSSIP_CONTENDERS: readonly GossipContender[] = [weft, weftOpen, serf];

/** Processes started at a time. */
const BATCH = 10;
const FORMED_WITHIN_MS = 120_000;
const SEEN_WITHIN_MS = 60_000;
/**
 * From the forming of the last mesh to the count of idle traffic. So long, because hosts that were starved
 * of the processor while all of them started doubt themselves and probe less for half a minute.
 */
const SETTLE_MS = 40_000;
/** From a join seen by all to the kill of the newcomer; what is random about it is not left to the clock. */
const AT_LEAST_ALIVE_MS = 1500;

export interface GossipResult {
  readonly contender: string;
  readonly formedMs: number;
  /** Processor time of all its processes while the mesh formed, in s. */
  readonly formingCpu: number;
  readonly idle: Rates;
  /** One per round: from the command until all others knew. */
  readonly joinsMs: readonly number[];
  readonly killsMs: readonly number[];
}

/** 127.1.0.1 and up. */
const addressOf = (number: number): string => `127.1.${number >> 8}.${number & 255}`;

/** A running mesh of one contender. */
class Bench {
  readonly #contender: GossipContender;
  readonly #namespace: LabNamespace;
  readonly #agents: GossipAgent[] = [];

  constructor(contender: GossipContender, namespace: LabNamespace) {
    this.#contender = contender;
    this.#namespace = namespace;
  }

  /** Starts all agents, has them join the first, and waits until all know all. */
  async form(hosts: number): Promise<{ formedMs: number; formingCpu: number }> {
    for (let first = 1; first <= hosts; first += BATCH) {
      const numbers = Array.from(
        { length: Math.min(BATCH, hosts + 1 - first) },
        (_, at) => first + at,
      );
      this.#agents.push(...(await Promise.all(numbers.map((number) => this.#start(number)))));
    }
    const [begin, cpu] = [performance.now(), this.#cpu()];
    const known = Promise.all(
      this.#agents.map(({ name }) => this.#seen('joined', name, FORMED_WITHIN_MS)),
    );
    for (const agent of this.#agents.slice(1)) await agent.join(addressOf(1));
    await known;
    return { formedMs: performance.now() - begin, formingCpu: this.#cpu() - cpu };
  }

  #cpu(): number {
    return this.#agents.reduce((sum, { process }) => sum + readRunSeconds(process.pid ?? 0), 0);
  }

  async idle(seconds: number): Promise<Rates> {
    const [before, begin] = [await readTraffic(this.#namespace), performance.now()];
    await pause(seconds * 1000);
    const after = await readTraffic(this.#namespace);
    return ratesOf(before, after, (performance.now() - begin) / 1000, this.#agents.length);
  }

  /** A newcomer joins one of the agents, is seen by all, is killed, and is seen dead by all. */
  async comeAndGo(number: number): Promise<{ joinMs: number; killMs: number }> {
    const newcomer = await this.#start(number);
    const target = this.#agents[number % this.#agents.length] as GossipAgent;
    const joined = this.#seen('joined', newcomer.name, SEEN_WITHIN_MS);
    const joinMs = await took(joined, () => newcomer.join(target.address));
    await pause(AT_LEAST_ALIVE_MS + Math.random() * 1000);
    const failed = this.#seen('failed', newcomer.name, SEEN_WITHIN_MS);
    const killMs = await took(failed, () => newcomer.process.signal('SIGKILL'));
    return { joinMs, killMs };
  }

  #start(number: number): Promise<GossipAgent> {
    return this.#contender.start(this.#namespace, `n${number}`, addressOf(number));
  }

  /** Settles once all agents but the one itself have said so. */
  async #seen(what: 'joined' | 'failed', name: string, withinMs: number): Promise<void> {
    const pattern = this.#contender[what](name);
    const others = this.#agents.filter((agent) => agent.name !== name);
    await Promise.all(others.map(({ process }) => process.waitForLine(pattern, withinMs)));
  }
}

/** How long after `begin` was called `end` settled. */
async function took(end: Promise<void>, begin: () => Promise<void> | void): Promise<number> {
  const at = performance.now();
  const [duration] = await Promise.all([end.then(() => performance.now() - at), begin()]);
  return duration;
}

/** A mesh under measurement, and what was found of it so far. */
interface Turn {
  readonly contender: GossipContender;
  readonly bench: Bench;
  readonly formedMs: number;
  readonly formingCpu: number;
  readonly joinsMs: number[];
  readonly killsMs: number[];
}

async function form(contender: GossipContender, hosts: number, lab: Lab): Promise<Turn> {
  const namespace = await lab.namespace(contender.name);
  await countTraffic(namespace);
  const bench = new Bench(contender, namespace);
  const formed = await bench.form(hosts);
  console.error(`${contender.name}: ${hosts} processes know each other`);
  return { contender, bench, ...formed, joinsMs: [], killsMs: [] };
}

async function comeAndGo({ contender, bench, ...turn }: Turn, number: number): Promise<void> {
  const { joinMs, killMs } = await bench.comeAndGo(number);
  console.error(
    `${contender.name}: n${number} seen after ${joinMs.toFixed(0)} ms, its kill after ${killMs.toFixed(0)} ms`,
  );
  turn.joinsMs.push(joinMs);
  turn.killsMs.push(killMs);
}

/**
 * All meshes are up together and take their rounds side by side, most of which is waiting: what they
 * use of the processors meanwhile is little, and the machine is the same for all.
 */
async function measure(
  contenders: readonly GossipContender[],
  { hosts, rounds, idleSeconds }: GossipOptions,
): Promise<GossipResult[]> {
  const lab = new Lab('gossip');
  try {
    const turns: Turn[] = [];
    for (const contender of contenders) turns.push(await form(contender, hosts, lab));
    await pause(SETTLE_MS);
    const idle = await Promise.all(turns.map(({ bench }) => bench.idle(idleSeconds)));
    for (let round = 1; round <= rounds; round++) {
      await Promise.all(turns.map((turn) => comeAndGo(turn, hosts + round)));
    }
    return turns.map(({ contender, formedMs, formingCpu, joinsMs, killsMs }, index) => ({
      ...{ contender: contender.name, formedMs, formingCpu, joinsMs, killsMs },
      idle: idle[index] as Rates,
    }));
  } finally {
    await lab.destroy();
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

function spread(values: readonly number[]): string {
  const { median, min, max } = summarize(values) ?? { median: NaN, min: NaN, max: NaN };
  return `${seconds(median)} (${seconds(min)}–${seconds(max)})`;
}

export function renderGossip(results: readonly GossipResult[]): string {
  const row = (title: string, cell: (result: GossipResult) => string): string[] => [
    title,
    ...results.map(cell),
  ];
  const columns = [
    { title: 'what', align: 'left' as const },
    ...results.map(({ contender }) => ({ title: contender, align: 'right' as const })),
  ];
  return markdownTable(columns, [
    row('a join seen by all: median (least–most), s', ({ joinsMs }) => spread(joinsMs)),
    row('a SIGKILL seen by all: median (least–most), s', ({ killsMs }) => spread(killsMs)),
    row('idle, per host: UDP payload, B/s', ({ idle }) => idle.udpPayload.toFixed(0)),
    row('… UDP with headers, B/s', ({ idle }) => idle.udp.toFixed(0)),
    row('… datagrams, /s', ({ idle }) => idle.datagrams.toFixed(2)),
    row('… TCP with headers, B/s', ({ idle }) => idle.tcp.toFixed(0)),
    row('… all, B/s', ({ idle }) => (idle.udp + idle.tcp).toFixed(0)),
    row('all join at once: known to all, s', ({ formedMs }) => seconds(formedMs)),
    row('… processor time of all programs, s', ({ formingCpu }) => formingCpu.toFixed(2)),
  ]);
}

export async function runGossip(options: GossipOptions): Promise<void> {
  const contenders = GOSSIP_CONTENDERS.filter(({ name }) => options.only.includes(name));
  await installPackages(contenders);
  const facts = await machineFacts();
  console.log(`## Weft gossip bench\n\n${describeMachine(facts)}\n`);
  console.log(
    `${options.hosts} processes on one loopback; ${options.rounds} joins and kills of one more; ${options.idleSeconds} s idle.\n`,
  );
  const results = await measure(contenders, options);
  console.log(renderGossip(results));
  console.log(
    `\n${contenders.map(({ name, describe }) => `- \`${name}\`: ${describe}`).join('\n')}`,
  );
  if (options.json === undefined) return;
  const content = { machine: facts, options, results };
  writeFileSync(options.json, `${JSON.stringify(content, undefined, 1)}\n`);
}
