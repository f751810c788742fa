import { Listeners } from '../base/events.ts';
import type { PeerId, Vni } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { byAge, type NetworkDefinition } from '../network/network.ts';
import { EndpointIndex, type EndpointPlace } from './endpoint-index.ts';
import type { EndpointRecord, NetworkRecord, UseRecord, VtepRecord } from './records.ts';
import { endpointId, endpointKey, endpointOwner } from './row-owners.ts';

/** A row that was changed: `undefined` for what was not there before, or is not there now. */
export interface RowChange<T> {
  readonly key: string;
  readonly value: T | undefined;
  readonly previous: T | undefined;
  /** Whether this host made the change; absent: it did. */
  readonly origin?: 'local' | 'remote';
}

/** What the directory needs of a replicated table. */
export interface Rows<T> {
  get(key: string): T | undefined;
  put(key: string, value: T): void;
  remove(key: string): void;
  entries(): Iterable<{ readonly key: string; readonly value: T }>;
  /** Calls the listener after each change, whoever made it. */
  onChange(listener: (change: RowChange<T>) => void): void;
}

/** Of a younger network that has lost its name, so much of its id follows the name. */
const ALIAS_DIGITS = 8;
/** Stands in no name that a person can give. */
const ALIAS_MARK = '~';

/** The name that a network was made with. */
export const plainName = (name: string): string => name.split(ALIAS_MARK)[0] ?? name;

/**
 * The mesh's networks, endpoints and foreign VTEPs as this host knows them: typed questions over the
 * replicated tables. Questions about the endpoints of a network or a host cost what they return; the
 * tables of networks and foreign VTEPs are small, and scanned.
 *
 * Rows name a network by its id, people by its name. Two meshes that are joined may both have made a
 * `blue`: the older keeps the name and the other is `blue~` with the first digits of its id, here and
 * wherever it is shown, until a repair has made one of them. When a name changes its meaning, listeners
 * hear of each endpoint and foreign VTEP concerned as if it had moved.
 */
export class Directory {
  readonly #networks: Rows<NetworkRecord>;
  readonly #endpoints: Rows<EndpointRecord>;
  readonly #vteps: Rows<VtepRecord>;
  /** Name a network as people do, and not by its id: engines mean whatever bears the name. */
  readonly #uses: Rows<UseRecord>;
  readonly #self: PeerId;
  /** Keys of endpoints' rows by ids of endpoints: more than one if several hosts have the same id. */
  readonly #keysOf = new Map<string, readonly string[]>();
  /** Those keys, by ids of networks. */
  readonly #index = new EndpointIndex();
  #nameOf = new Map<string, string>();
  #idOf = new Map<string, string>();
  /** Names of the networks that are shown. */
  #namesOn = new Map<Vni, string[]>();
  readonly #networksChange = new Listeners<undefined>();
  readonly #endpointChange = new Listeners<RowChange<EndpointRecord>>();
  readonly #vtepChange = new Listeners<RowChange<VtepRecord>>();

  constructor(
    self: PeerId,
    tables: {
      readonly networks: Rows<NetworkRecord>;
      readonly endpoints: Rows<EndpointRecord>;
      readonly vteps: Rows<VtepRecord>;
      readonly uses: Rows<UseRecord>;
    },
  ) {
    this.#self = self;
    this.#networks = tables.networks;
    this.#endpoints = tables.endpoints;
    this.#vteps = tables.vteps;
    this.#uses = tables.uses;
    for (const { key, value } of tables.endpoints.entries()) this.#noteEndpoint(key, value);
    this.#readNames();
    tables.networks.onChange(() => this.#namesChanged());
    tables.endpoints.onChange((change) => {
      const { key, value, previous } = change;
      if (previous !== undefined) this.#dropEndpoint(key, previous);
      if (value !== undefined) this.#noteEndpoint(key, value);
      const named = { ...change, value: this.#named(value), previous: this.#named(previous) };
      this.#endpointChange.emit(named);
      this.#lastHasGone(previous?.network);
    });
    tables.vteps.onChange((change) => {
      const { value, previous } = change;
      const named = { ...change, value: this.#named(value), previous: this.#named(previous) };
      this.#vtepChange.emit(named);
    });
  }

  /** Calls back after each change of networks or of their names, until the call returned is made. */
  onNetworks(listener: () => void): () => void {
    return this.#networksChange.add(listener);
  }

  /** Calls back after each change of an endpoint's row, which names its network as people do. */
  onEndpoint(listener: (change: RowChange<EndpointRecord>) => void): () => void {
    return this.#endpointChange.add(listener);
  }

  /** Calls back after each change of a foreign VTEP's row, which names its network as people do. */
  onVtep(listener: (change: RowChange<VtepRecord>) => void): () => void {
    return this.#vtepChange.add(listener);
  }

  network(name: string): NetworkDefinition | undefined {
    const id = this.#idOf.get(name);
    const record = id === undefined ? undefined : this.#networks.get(id);
    return id === undefined || record === undefined ? undefined : { ...record, id, name };
  }

  /** The one with that id, whether it is shown or not. */
  networkById(id: string): NetworkDefinition | undefined {
    const record = this.#networks.get(id);
    return record && { ...record, id, name: this.#nameOf.get(id) ?? id };
  }

  /** All but those that were merged into another and have no endpoint left. */
  networks(): NetworkDefinition[] {
    return [...this.#idOf.keys()]
      .flatMap((name) => this.network(name) ?? [])
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Those that were merged and of which nothing is left but where they went. */
  mergedNetworks(): NetworkDefinition[] {
    return Array.from(this.#networks.entries(), ({ key }) => this.networkById(key)).filter(
      (network) => network !== undefined && !this.#nameOf.has(network.id),
    ) as NetworkDefinition[];
  }

  putNetwork({ id, name, ...record }: NetworkDefinition): void {
    this.#networks.put(id, { ...record, name: plainName(name) });
  }

  removeNetwork(name: string): void {
    this.#networks.remove(this.#idOf.get(name) ?? name);
  }

  /** Of several hosts' endpoints with that id this host's own, or else always the same one. */
  endpoint(id: string): Endpoint | undefined {
    const keys = this.#keysOf.get(id) ?? [];
    const key = keys.find((each) => endpointOwner(each) === this.#self) ?? keys[0];
    return key === undefined ? undefined : this.endpointOf(key);
  }

  /** By the key of its row. */
  endpointOf(key: string): Endpoint | undefined {
    const record = this.#named(this.#endpoints.get(key));
    return record && { ...record, id: endpointId(key) };
  }

  endpoints(network?: string): Endpoint[] {
    return network === undefined
      ? this.#all(Array.from(this.#endpoints.entries(), ({ key }) => key))
      : this.#all(this.#index.ofNetwork(this.#id(network)));
  }

  endpointsOf(host: PeerId): Endpoint[] {
    return this.#all(this.#index.ofHost(host));
  }

  /** The endpoints of one host on one network. */
  endpointsAt({ network, host }: EndpointPlace): Endpoint[] {
    return this.#all(this.#index.at({ network: this.#id(network), host }));
  }

  /** Whether a host has an endpoint on a network. */
  hasEndpoints({ network, host }: EndpointPlace): boolean {
    return this.#index.has({ network: this.#id(network), host });
  }

  putEndpoint({ id, ...record }: Endpoint): void {
    const key = endpointKey({ id, host: record.host });
    this.#endpoints.put(key, { ...record, network: this.#id(record.network) });
  }

  removeEndpoint(endpoint: Pick<Endpoint, 'host' | 'id'>): void {
    this.#endpoints.remove(endpointKey(endpoint));
  }

  vteps(network?: string): VtepRecord[] {
    return [...this.#vteps.entries()]
      .map(({ value }) => this.#named(value))
      .filter(isThere)
      .filter((vtep) => network === undefined || vtep.network === network);
  }

  vtep(network: string, address: string): VtepRecord | undefined {
    return this.#named(this.#vteps.get(vtepKey(this.#id(network), address)));
  }

  putVtep(vtep: VtepRecord): void {
    const network = this.#id(vtep.network);
    this.#vteps.put(vtepKey(network, vtep.address), { ...vtep, network });
  }

  removeVtep(network: string, address: string): void {
    this.#vteps.remove(vtepKey(this.#id(network), address));
  }

  /** Other networks on the same VNI, by name. */
  rivals(network: string): string[] {
    const vni = this.network(network)?.vni;
    const names = vni === undefined ? [] : (this.#namesOn.get(vni) ?? []);
    return names.filter((name) => name !== network);
  }

  #all(keys: Iterable<string>): Endpoint[] {
    return Array.from(keys, (key) => this.endpointOf(key)).filter(isThere);
  }

  #noteEndpoint(key: string, row: EndpointRecord): void {
    const id = endpointId(key);
    this.#keysOf.set(id, [...(this.#keysOf.get(id) ?? []), key].sort());
    this.#index.add(key, row);
  }

  #dropEndpoint(key: string, row: EndpointRecord): void {
    const id = endpointId(key);
    const others = this.#keysOf.get(id)?.filter((each) => each !== key) ?? [];
    if (others.length === 0) this.#keysOf.delete(id);
    else this.#keysOf.set(id, others);
    this.#index.remove(key, row);
  }

  /** What rows call a network; a name that none has stands for itself. */
  #id(name: string): string {
    return this.#idOf.get(name) ?? name;
  }

  #named<T extends { readonly network: string }>(row: T | undefined): T | undefined {
    return row && { ...row, network: this.#nameOf.get(row.network) ?? row.network };
  }

  #readNames(): void {
    this.#nameOf = new Map();
    this.#idOf = new Map();
    this.#namesOn = new Map();
    const shown = Array.from(this.#networks.entries(), ({ key, value }) => ({ ...value, id: key }))
      .filter(({ id, mergedInto }) => mergedInto === undefined || this.#index.isUsed(id))
      // What was merged never takes a name from what was not.
      .sort((a, b) => Number(isMerged(a)) - Number(isMerged(b)) || byAge(a, b));
    for (const { id, name, vni } of shown) {
      const short = `${name}${ALIAS_MARK}${id.slice(0, ALIAS_DIGITS)}`;
      const long = `${name}${ALIAS_MARK}${id}`;
      const free = [name, short, long].find((each) => !this.#idOf.has(each)) ?? id;
      this.#nameOf.set(id, free);
      this.#idOf.set(free, id);
      this.#namesOn.set(vni, [...(this.#namesOn.get(vni) ?? []), free]);
    }
  }

  #namesChanged(): void {
    const before = this.#nameOf;
    this.#readNames();
    const ids = new Set([...before.keys(), ...this.#nameOf.keys()]);
    for (const id of ids) {
      const [from, to] = [before.get(id) ?? id, this.#nameOf.get(id) ?? id];
      if (from !== to) this.#tellRenamed(id, from, to);
    }
    this.#networksChange.emit(undefined);
  }

  /** All that names the network by its id is told as moved from one name to the other. */
  #tellRenamed(id: string, from: string, to: string): void {
    for (const key of this.#index.ofNetwork(id)) {
      const row = this.#endpoints.get(key);
      if (row === undefined) continue;
      const change = { key, value: { ...row, network: to }, previous: { ...row, network: from } };
      this.#endpointChange.emit(change);
    }
    for (const { key, value: row } of [...this.#vteps.entries()]) {
      if (row.network !== id) continue;
      const change = { key, value: { ...row, network: to }, previous: { ...row, network: from } };
      this.#vtepChange.emit(change);
    }
  }

  /** A network that was merged is shown no more once its last endpoint has moved. */
  #lastHasGone(id: string | undefined): void {
    const isOver =
      id !== undefined &&
      this.#nameOf.has(id) &&
      this.#networks.get(id)?.mergedInto !== undefined &&
      !this.#index.isUsed(id);
    if (isOver) this.#namesChanged();
  }

  /** Which hosts' container engines have which networks in their lists. */
  uses(network?: string): UseRecord[] {
    return Array.from(this.#uses.entries(), ({ value }) => value).filter(
      (use) => network === undefined || use.network === network,
    );
  }

  isUsed(use: UseRecord): boolean {
    return this.#uses.get(useKey(use)) !== undefined;
  }

  putUse(use: UseRecord): void {
    this.#uses.put(useKey(use), use);
  }

  removeUse(use: UseRecord): void {
    this.#uses.remove(useKey(use));
  }
}

const useKey = ({ network, host }: UseRecord): string => `${network} ${host}`;

const isThere = <T>(each: T | undefined): each is T => each !== undefined;

const isMerged = ({ mergedInto }: NetworkRecord): boolean => mergedInto !== undefined;

const vtepKey = (network: string, address: string): string => `${network} ${address}`;
