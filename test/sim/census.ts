import type { PeerId } from '../../src/base/types.ts';
import type { MemberState } from '../../src/gossip/member.ts';
import type { Row } from '../../src/gossip/replica.ts';
import type { Sighting, Watcher } from './cluster.ts';
import type { SimHost } from './host.ts';
import { percentile } from './statistics.ts';

/** When whom saw something for the first time, since it happened. */
export class Spread {
  readonly #since: number;
  readonly #seen = new Map<number, number>();

  constructor(since: number) {
    this.#since = since;
  }

  note(observer: SimHost, now: number): void {
    if (!this.#seen.has(observer.number)) this.#seen.set(observer.number, now - this.#since);
  }

  get count(): number {
    return this.#seen.size;
  }

  /** How long until `part` of `hosts` knew, in ms; Infinity if so many never did. */
  within(part: number, hosts: number): number {
    const times = [...this.#seen.values()];
    while (times.length < hosts) times.push(Infinity);
    return percentile(times, part);
  }
}

/** Counts what hosts see of each other: deaths of the living, and how news spreads. */
export class Census implements Watcher {
  readonly falseDeaths: Sighting[] = [];
  suspicions = 0;
  readonly #dying = new Set<PeerId>();
  readonly #members = new Map<string, Spread>();
  readonly #rows = new Map<string, Spread>();

  /** From now on the deaths of these hosts are no surprise. */
  expectDeaths(hosts: Iterable<SimHost>): void {
    for (const { id } of hosts) this.#dying.add(id);
  }

  expectLife(hosts: Iterable<SimHost>): void {
    for (const { id } of hosts) this.#dying.delete(id);
  }

  /** Follows the news that `host` is in `state`. */
  follow(host: SimHost, state: MemberState): Spread {
    const spread = new Spread(host.cluster.now);
    this.#members.set(`${host.id} ${state}`, spread);
    return spread;
  }

  followRow(writer: SimHost, key: string): Spread {
    const spread = new Spread(writer.cluster.now);
    this.#rows.set(key, spread);
    return spread;
  }

  member(sighting: Sighting): void {
    const { at, member, observer, previous } = sighting;
    if (member.state === 'suspect') this.suspicions++;
    const isFalse = member.state === 'dead' && !this.#dying.has(member.id);
    if (isFalse && !this.#dying.has(observer.id)) this.falseDeaths.push(sighting);
    if (member.state !== previous?.state && this.#members.size > 0) {
      this.#members.get(`${member.id} ${member.state}`)?.note(observer, at);
    }
  }

  row(observer: SimHost, { key }: Row): void {
    this.#rows.get(key)?.note(observer, observer.cluster.now);
  }
}
