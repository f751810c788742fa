import type { PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { EndpointIndex, type EndpointPlace } from './endpoint-index.ts';
import type { EndpointRecord, NetworkRecord, UseRecord, VtepRecord } from './records.ts';

/** A row that was changed: `undefined` for what was not there before, or is not there now. */
export interface RowChange<T> {
  readonly key: string;
  readonly value: T | undefined;
  readonly previous: T | undefined;
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

/**
 * The mesh's networks, endpoints and foreign VTEPs as this host knows them: typed questions over the
 * replicated tables. Questions about the endpoints of a network or a host cost what they return; the
 * tables of networks and foreign VTEPs are small, and scanned.
 */
export class Directory {
  readonly #networks: Rows<NetworkRecord>;
  readonly #endpoints: Rows<EndpointRecord>;
  readonly #vteps: Rows<VtepRecord>;
  readonly #uses: Rows<UseRecord>;
  readonly #index = new EndpointIndex();

  constructor(tables: {
    readonly networks: Rows<NetworkRecord>;
    readonly endpoints: Rows<EndpointRecord>;
    readonly vteps: Rows<VtepRecord>;
    readonly uses: Rows<UseRecord>;
  }) {
    this.#networks = tables.networks;
    this.#endpoints = tables.endpoints;
    this.#vteps = tables.vteps;
    this.#uses = tables.uses;
    for (const { key, value } of tables.endpoints.entries()) this.#index.add(key, value);
    tables.endpoints.onChange(({ key, value, previous }) => {
      if (previous !== undefined) this.#index.remove(key, previous);
      if (value !== undefined) this.#index.add(key, value);
    });
  }

  network(name: string): NetworkDefinition | undefined {
    const record = this.#networks.get(name);
    return record && { name, ...record };
  }

  networks(): NetworkDefinition[] {
    return [...this.#networks.entries()]
      .map(({ key, value }) => ({ name: key, ...value }))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  putNetwork({ name, ...record }: NetworkDefinition): void {
    this.#networks.put(name, record);
  }

  removeNetwork(name: string): void {
    this.#networks.remove(name);
  }

  endpoint(id: string): Endpoint | undefined {
    const record = this.#endpoints.get(id);
    return record && { id, ...record };
  }

  endpoints(network?: string): Endpoint[] {
    return network === undefined
      ? Array.from(this.#endpoints.entries(), ({ key, value }) => ({ id: key, ...value }))
      : this.#named(this.#index.ofNetwork(network));
  }

  endpointsOf(host: PeerId): Endpoint[] {
    return this.#named(this.#index.ofHost(host));
  }

  /** The endpoints of one host on one network. */
  endpointsAt(place: EndpointPlace): Endpoint[] {
    return this.#named(this.#index.at(place));
  }

  /** Whether a host has an endpoint on a network. */
  hasEndpoints(place: EndpointPlace): boolean {
    return this.#index.has(place);
  }

  #named(ids: Iterable<string>): Endpoint[] {
    return Array.from(ids, (id) => this.endpoint(id)).filter((each) => each !== undefined);
  }

  putEndpoint({ id, ...record }: Endpoint): void {
    this.#endpoints.put(id, record);
  }

  removeEndpoint(id: string): void {
    this.#endpoints.remove(id);
  }

  vteps(network?: string): VtepRecord[] {
    return [...this.#vteps.entries()]
      .map(({ value }) => value)
      .filter((vtep) => network === undefined || vtep.network === network);
  }

  vtep(network: string, address: string): VtepRecord | undefined {
    return this.#vteps.get(vtepKey(network, address));
  }

  putVtep(vtep: VtepRecord): void {
    this.#vteps.put(vtepKey(vtep.network, vtep.address), vtep);
  }

  removeVtep(network: string, address: string): void {
    this.#vteps.remove(vtepKey(network, address));
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
const vtepKey = (network: string, address: string): string => `${network} ${address}`;
