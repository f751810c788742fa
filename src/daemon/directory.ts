import type { PeerId } from '../base/types.ts';
import type { EndpointRecord, NetworkRecord, VtepRecord } from './records.ts';

/** What the directory needs of a replicated table. */
export interface Rows<T> {
  get(key: string): T | undefined;
  put(key: string, value: T): void;
  remove(key: string): void;
  entries(): Iterable<readonly [string, T]>;
}

export interface Network extends NetworkRecord {
  readonly name: string;
}

export interface Endpoint extends EndpointRecord {
  readonly id: string;
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

  network(name: string): Network | undefined {
    const record = this.#networks.get(name);
    return record && { name, ...record };
  }

  networks(): Network[] {
    return [...this.#networks.entries()]
      .map(([name, record]) => ({ name, ...record }))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  putNetwork({ name, ...record }: Network): void {
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
      .filter(([, record]) => network === undefined || record.network === network)
      .map(([id, record]) => ({ id, ...record }));
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
      .map(([, record]) => record)
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
