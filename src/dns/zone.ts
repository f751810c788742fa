import type { PeerId } from '../base/types.ts';
import { containsAddress, parseAddress, parseCidr, type Cidr } from '../wire/cidr.ts';
import { MultiMap } from './multi-map.ts';

/** Some names of some addresses: what an endpoint's row or a row of `weft dns add` says. */
export interface ZoneEntry {
  /** Undefined: for askers of every network. */
  readonly network: string | undefined;
  /** The entry counts only while this host lives. */
  readonly host: PeerId;
  /** Lower case, relative to the domain. */
  readonly names: readonly string[];
  /** Canonical text, without prefix length. */
  readonly addresses: readonly string[];
}

/**
 * What an asker may see: the names of these networks, the first one's before the others'; or, for the
 * host itself, those of all.
 */
export type View = readonly string[] | 'all';

/** The names and addresses of one network, or of none. */
class Part {
  readonly names = new MultiMap<string, ZoneEntry>();
  readonly addresses = new MultiMap<string, ZoneEntry>();
  /** How many names lie below a name that need not be one itself: `b` and `c.b` below `a.c.b`. */
  readonly parents = new Map<string, number>();
  subnets: readonly Cidr[] = [];
}

/**
 * Names to addresses and back, by network. Kept row by row: a change costs what the row holds, a question
 * what it returns, and a host's death nothing, since each entry's host is looked at when somebody asks.
 */
export class Zone {
  readonly #isAlive: (host: PeerId) => boolean;
  readonly #entries = new Map<string, ZoneEntry>();
  readonly #parts = new Map<string | undefined, Part>();
  #version = 0;

  constructor(isAlive: (host: PeerId) => boolean) {
    this.#isAlive = isAlive;
  }

  /** Another one whenever an answer could be another one. */
  get version(): number {
    return this.#version;
  }

  /** A host lives, or no longer. */
  livesChanged(): void {
    this.#version++;
  }

  /** Makes `entry` what the key stands for; undefined: nothing. */
  put(key: string, entry: ZoneEntry | undefined): void {
    this.#version++;
    const previous = this.#entries.get(key);
    if (previous !== undefined) this.#remove(previous);
    this.#entries.delete(key);
    if (entry === undefined || entry.names.length === 0) return;
    this.#entries.set(key, entry);
    this.#add(entry);
  }

  /** A network's subnets, in which nobody else knows an address; undefined: there is no such network. */
  setNetwork(network: string, subnets: readonly string[] | undefined): void {
    this.#version++;
    const part = this.#part(network);
    part.subnets = (subnets ?? []).map(parseCidr).filter((subnet) => subnet !== undefined);
    this.#prune(network, part);
  }

  /**
   * Addresses of a lower-case name relative to the domain: `web` or `web.blue`. None if only names below
   * it exist, undefined if there is no such name. O(addresses returned), for the view `all` O(networks).
   */
  lookup(view: View, name: string): string[] | undefined {
    const own = this.#plain(view, name);
    if (own.length > 0) return own;
    const qualified = this.#qualified(view, name);
    if (qualified.length > 0) return qualified;
    return this.#isParent(view, name) ? [] : undefined;
  }

  /**
   * Names of an address, relative to the domain. None if it lies in a subnet of the view but has no name,
   * undefined if it is not ours to know.
   */
  reverse(view: View, address: string): string[] | undefined {
    for (const network of this.#networks(view)) {
      const part = this.#parts.get(network);
      const suffix = view === 'all' && network !== undefined ? `.${network.toLowerCase()}` : '';
      const names = this.#living(part?.addresses.get(address))
        .flatMap((entry) => entry.names)
        .map((name) => name + suffix);
      if (names.length > 0) return [...new Set(names)];
    }
    return this.#covers(view, address) ? [] : undefined;
  }

  #covers(view: View, text: string): boolean {
    const address = parseAddress(text);
    return [...this.#networks(view)].some((network) =>
      this.#parts
        .get(network)
        ?.subnets.some((subnet) => address !== undefined && containsAddress(subnet, address)),
    );
  }

  /** The view's first network that has the name, and what belongs to none; the host sees all at once. */
  #plain(view: View, name: string): string[] {
    const common = this.#addresses(undefined, name);
    const found: string[] = [];
    for (const network of this.#networks(view)) {
      if (network === undefined) continue;
      found.push(...this.#addresses(network, name));
      if (found.length > 0 && view !== 'all') break;
    }
    return [...new Set([...found, ...common])];
  }

  /** `NAME.NETWORK`. Networks' names may hold dots and capitals. */
  #qualified(view: View, name: string): string[] {
    const found: string[] = [];
    for (const network of this.#networks(view)) {
      const suffix = `.${network?.toLowerCase() ?? ''}`;
      if (network === undefined || !name.endsWith(suffix)) continue;
      found.push(...this.#addresses(network, name.slice(0, -suffix.length)));
    }
    return [...new Set(found)];
  }

  #isParent(view: View, name: string): boolean {
    for (const network of this.#networks(view)) {
      const part = this.#parts.get(network);
      if (part === undefined) continue;
      if (part.parents.has(name)) return true;
      if (network === undefined || part.names.size === 0) continue;
      const label = network.toLowerCase();
      if (label === name || label.endsWith(`.${name}`)) return true;
      if (name.endsWith(`.${label}`) && part.parents.has(name.slice(0, -label.length - 1))) {
        return true;
      }
    }
    return false;
  }

  *#networks(view: View): Generator<string | undefined> {
    if (view === 'all') yield* this.#parts.keys();
    else yield* view;
    if (view !== 'all') yield undefined;
  }

  #addresses(network: string | undefined, name: string): string[] {
    const entries = this.#parts.get(network)?.names.get(name);
    return this.#living(entries).flatMap(({ addresses }) => addresses);
  }

  #living(entries: Iterable<ZoneEntry> | undefined): ZoneEntry[] {
    return [...(entries ?? [])].filter(({ host }) => this.#isAlive(host));
  }

  #add(entry: ZoneEntry): void {
    const part = this.#part(entry.network);
    for (const name of entry.names) {
      part.names.add(name, entry);
      for (const parent of parentsOf(name)) {
        part.parents.set(parent, (part.parents.get(parent) ?? 0) + 1);
      }
    }
    for (const address of entry.addresses) part.addresses.add(address, entry);
  }

  #remove(entry: ZoneEntry): void {
    const part = this.#part(entry.network);
    for (const name of entry.names) {
      part.names.remove(name, entry);
      for (const parent of parentsOf(name)) {
        const left = (part.parents.get(parent) ?? 0) - 1;
        if (left > 0) part.parents.set(parent, left);
        else part.parents.delete(parent);
      }
    }
    for (const address of entry.addresses) part.addresses.remove(address, entry);
    this.#prune(entry.network, part);
  }

  #part(network: string | undefined): Part {
    const part = this.#parts.get(network) ?? new Part();
    this.#parts.set(network, part);
    return part;
  }

  #prune(network: string | undefined, part: Part): void {
    if (part.names.size === 0 && part.subnets.length === 0) this.#parts.delete(network);
  }
}

/** `b.c` and `c` of `a.b.c`. */
function parentsOf(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(1).map((_, index) => labels.slice(index + 1).join('.'));
}
