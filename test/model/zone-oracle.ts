import type { PeerId } from '../../src/base/types.ts';
import type { ZoneEntry } from '../../src/dns/zone.ts';

/** What `Zone` must answer, in the slowest and plainest way: every question is a walk over all rows. */
export class ZoneOracle {
  readonly rows = new Map<string, ZoneEntry>();
  readonly dead = new Set<PeerId>();

  #addresses(network: string | undefined, name: string): string[] {
    return [...this.rows.values()]
      .filter((row) => row.network === network && row.names.includes(name))
      .filter((row) => !this.dead.has(row.host))
      .flatMap((row) => row.addresses);
  }

  /** Sorted; undefined if no living row has the name. Says nothing of names that only have children. */
  lookup(view: readonly string[], name: string): string[] | undefined {
    const first = view.find((network) => this.#addresses(network, name).length > 0);
    const own = first === undefined ? [] : this.#addresses(first, name);
    const plain = [...own, ...this.#addresses(undefined, name)];
    const found =
      plain.length > 0
        ? plain
        : view
            .filter((network) => name.endsWith(`.${network.toLowerCase()}`))
            .flatMap((network) => this.#addresses(network, name.slice(0, -network.length - 1)));
    return found.length === 0 ? undefined : [...new Set(found)].sort();
  }
}
