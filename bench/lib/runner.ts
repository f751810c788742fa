/**
 * The rounds. Contenders take turns inside each round, so that a drift of the machine touches all
 * alike; each turn has a fresh topology, so that none inherits another's tables, offloads or sockets.
 */
import { ContenderUnavailable, type Contender, type Running } from '../contenders/contender.ts';
import type { Probe, ProbeSettings } from '../probes/probe.ts';
import { accountCpu } from './cpu.ts';
import type { Interrupt } from './interrupt.ts';
import { Lab } from './lab.ts';
import type { Progress } from './progress.ts';
import type { Absence, Sample } from './result.ts';
import { Topology, type Ends, type UnderlayMode } from './topology.ts';
import { until } from './until.ts';

export interface Plan extends ProbeSettings {
  readonly contenders: readonly Contender[];
  readonly probes: readonly Probe[];
  readonly underlay: UnderlayMode;
  readonly rounds: number;
}

export interface Outcome {
  readonly samples: readonly Sample[];
  readonly absences: readonly Absence[];
}

/** Some peers take seconds to find each other. */
const WARM_UP_MS = 20_000;

interface Turn {
  readonly round: number;
  readonly contender: Contender;
}

/** Programs may print pages when they fail; a report needs the beginning. */
const MESSAGE_CHARACTERS = 400;

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const oneLine = message.replace(/\s+/g, ' ').trim();
  return oneLine.length > MESSAGE_CHARACTERS
    ? `${oneLine.slice(0, MESSAGE_CHARACTERS)} …`
    : oneLine;
}

/** Each round begins with another one, so that none is always the first on a rested machine. */
export function orderOf<T>(contenders: readonly T[], round: number): readonly T[] {
  const first = (round - 1) % contenders.length;
  return [...contenders.slice(first), ...contenders.slice(0, first)];
}

export class Runner {
  readonly #plan: Plan;
  readonly #progress: Progress;
  readonly #interrupt: Interrupt;
  readonly #samples: Sample[] = [];
  readonly #absences: Absence[] = [];

  constructor(plan: Plan, progress: Progress, interrupt: Interrupt) {
    this.#plan = plan;
    this.#progress = progress;
    this.#interrupt = interrupt;
  }

  /** Runs all rounds. A probe that fails is recorded; a contender that can't come up takes no further turn. */
  async run(): Promise<Outcome> {
    for (let round = 1; round <= this.#plan.rounds; round++) {
      for (const contender of orderOf(this.#plan.contenders, round)) {
        if (this.#isAbsent(contender)) continue;
        this.#interrupt.check();
        await this.#takeTurn({ round, contender });
      }
    }
    this.#progress.done();
    return { samples: this.#samples, absences: this.#absences };
  }

  #isAbsent({ name }: Contender): boolean {
    return this.#absences.some(({ contender }) => contender === name);
  }

  async #takeTurn(turn: Turn): Promise<void> {
    const lab = new Lab('bench');
    try {
      this.#say(turn, 'coming up');
      const running = await this.#bringUp(turn, lab);
      if (running === undefined) return;
      for (const probe of this.#plan.probes) {
        this.#interrupt.check();
        await this.#measure(turn, running, probe);
      }
      await running.down();
    } finally {
      await lab.destroy();
    }
  }

  /** undefined if it can't come up; that is then among the absences. */
  async #bringUp({ contender }: Turn, lab: Lab): Promise<Running | undefined> {
    try {
      const running = await contender.up(await Topology.build(lab, this.#plan.underlay));
      await warmUp(running.ends);
      return running;
    } catch (error) {
      this.#interrupt.check();
      const isUnavailable = error instanceof ContenderUnavailable;
      this.#absences.push({ contender: contender.name, reason: messageOf(error), isUnavailable });
      return undefined;
    }
  }

  async #measure(turn: Turn, running: Running, probe: Probe): Promise<void> {
    this.#say(turn, probe.name);
    const place = { round: turn.round, contender: turn.contender.name, probe: probe.name };
    try {
      const { result, use } = await accountCpu(running.daemonPids, () =>
        probe.load(running, this.#plan),
      );
      this.#samples.push({ ...place, values: result(use), foreignShare: use.foreignShare });
    } catch (error) {
      this.#interrupt.check();
      this.#samples.push({ ...place, values: {}, foreignShare: 0, failure: messageOf(error) });
    }
  }

  #say({ round, contender }: Turn, what: string): void {
    this.#progress.step(`round ${round}/${this.#plan.rounds}  ${contender.name}  ${what}`);
  }
}

/** Tunnels have met, addresses are resolved and tables learned before the first figure is taken. */
export async function warmUp({ client, serverAddress }: Ends): Promise<void> {
  await until(
    `a ping to ${serverAddress} to be answered`,
    () => client.answers(serverAddress, { waitSeconds: 1 }),
    WARM_UP_MS,
  );
  await client.ping(serverAddress, { count: 10, intervalSeconds: 0.1 });
}
