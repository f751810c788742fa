import { randomInt } from '../../src/base/rng.ts';
import { presets } from '../../src/gossip/config.ts';
import { Census } from './census.ts';
import { Cluster, type Traffic } from './cluster.ts';
import type { HostOptions, SimHost } from './host.ts';
import { SITE, type NetworkOptions } from './network.ts';

export type PresetName = keyof typeof presets;

export interface RunOptions {
  readonly hosts: number;
  readonly minutes: number;
  readonly seed: number;
  readonly preset: PresetName;
  /** Undefined: what the scenario sets. */
  readonly loss?: number;
}

/** One number of the report. With `most`, the run fails above it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly most?: number;
}

/** A scenario: what happens to a mesh, and what must hold. */
export interface Scenario {
  readonly name: string;
  readonly describe: string;
  /** Size and length unless told otherwise. */
  readonly hosts: number;
  readonly minutes: number;
  readonly network?: NetworkOptions;
  readonly run: (run: Run) => void;
}

const MINUTE = 60_000;

/** One run of one scenario: its mesh, and the figures it found. */
export class Run {
  readonly options: RunOptions;
  readonly cluster: Cluster;
  readonly census = new Census();
  readonly figures: Figure[] = [];
  /** Whose last messages a failed run shows. */
  readonly #concerned = new Set<SimHost>();

  constructor(options: RunOptions, network: NetworkOptions = SITE) {
    this.options = options;
    this.cluster = new Cluster({
      seed: options.seed,
      config: presets[options.preset],
      network: { ...network, loss: options.loss ?? network.loss },
      isRecorded: false,
    });
    this.cluster.watcher = this.census;
  }

  /** A mesh of all the hosts that already know each other, past its first probes. */
  form(options?: (index: number) => HostOptions): SimHost[] {
    const hosts = this.cluster.formed(this.options.hosts, options);
    this.cluster.run(5000);
    return hosts;
  }

  /** Runs for the scenario's minutes and reports what each host sent meanwhile. */
  measure(ms = this.options.minutes * MINUTE): void {
    const before = { ...this.cluster.traffic };
    this.cluster.run(ms);
    this.#reportTraffic(before, ms / 1000);
  }

  note(name: string, value: number, unit: string): void {
    this.figures.push({ name, value, unit });
  }

  must(name: string, value: number, unit: string, most: number): void {
    this.figures.push({ name, value, unit, most });
  }

  concern(...hosts: readonly SimHost[]): void {
    for (const host of hosts) this.#concerned.add(host);
  }

  /** No host that ran was declared dead. */
  mustNotKill(): void {
    const { falseDeaths, suspicions } = this.census;
    this.note('suspicions seen', suspicions, '');
    this.must('false deaths seen', falseDeaths.length, '', 0);
    const byId = new Map(this.cluster.hosts.map((host) => [host.id, host]));
    for (const { member, observer } of falseDeaths.slice(0, 1)) {
      const victim = byId.get(member.id);
      this.concern(...(victim === undefined ? [observer] : [victim, observer]));
    }
  }

  get failures(): Figure[] {
    return this.figures.filter(({ value, most }) => most !== undefined && !(value <= most));
  }

  /** The last messages of the hosts concerned in a failure, or of any two. */
  diagram(): string {
    const some = this.#concerned.size > 0 ? [...this.#concerned] : this.cluster.hosts.slice(0, 2);
    return this.cluster.trace.diagram(some.slice(0, 3));
  }

  /** One of the running hosts. */
  pick(): SimHost {
    const { hosts, rng } = this.cluster;
    return hosts[randomInt(rng, hosts.length)] as SimHost;
  }

  #reportTraffic(before: Traffic, seconds: number): void {
    const { traffic, hosts } = this.cluster;
    const rate = (name: keyof Traffic): number =>
      (traffic[name] - before[name]) / seconds / hosts.length;
    this.note('UDP payload per host', rate('datagramBytes'), 'B/s');
    this.note('datagrams per host', rate('datagrams'), '/s');
    this.note('TCP payload per host', rate('streamBytes'), 'B/s');
    this.note('exchanges per host', rate('exchanges'), '/s');
  }
}
