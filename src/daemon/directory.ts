import type { PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { EndpointRecord, NetworkRecord, VtepRecord } from './records.ts';

/** What the directory needs of a replicated table. */
export interface Rows<T> {
  get(key: string): T | undefined;
  put(key: string, value: T): void;
  remove(key: string): void;
  entries(): Iterable<{ readonly key: string; readonly value: T }>;
}

/**
 * The mesh's networks, endpoints and foreign VTEPs as this host knows them: typed questions over the
 * replicated tables. Each question scans its table; the tables are small (a row an endpoint).
 */
export class Directory {
  readonly #networks: Rows<NetworkRecord>;
  readonly #endpoints: Rows<EndpointRecord>;
  readonly #vteps: Rows<VtepRecord>;

  constructor(tables: {
    readonly networks: Rows<NetworkRecord>;
    readonly endpoints: Rows<EndpointRecord>;
    readonly vteps: Rows<VtepRecord>;
  }) {
    this.#networks = tables.networks;
    this.#endpoints = tables.endpoints;
    this.#vteps = tables.vteps;
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
    return [...this.#endpoints.entries()]
      .filter(({ value }) => network === undefined || value.network === network)
      .map(({ key, value }) => ({ id: key, ...value }));
  }

  endpointsOf(host: PeerId): Endpoint[] {
    return this.endpoints().filter((endpoint) => endpoint.host === host);
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

  putVtep(vtep: VtepRecord): void {
    this.#vteps.put(vtepKey(vtep.network, vtep.address), vtep);
  }

  removeVtep(network: string, address: string): void {
    this.#vteps.remove(vtepKey(network, address));
  }
}

const vtepKey = (network: string, address: string): string => `${network} ${address}`;
