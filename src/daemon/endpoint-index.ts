import type { PeerId } from '../base/types.ts';

/** Where an endpoint is: what its row says of network and host. */
export interface EndpointPlace {
  readonly network: string;
  readonly host: PeerId;
}

/**
 * Keys of endpoints' rows by network and host, so that a question about one of them, or a change to a row, does
 * not cost a walk over the table. One set entry an endpoint; every call is O(1) or O(what it returns).
 */
export class EndpointIndex {
  readonly #networks = new Map<string, Map<PeerId, Set<string>>>();

  add(id: string, { network, host }: EndpointPlace): void {
    const hosts = this.#networks.get(network) ?? new Map<PeerId, Set<string>>();
    const ids = hosts.get(host) ?? new Set();
    this.#networks.set(network, hosts.set(host, ids.add(id)));
  }

  remove(id: string, { network, host }: EndpointPlace): void {
    const hosts = this.#networks.get(network);
    const ids = hosts?.get(host);
    if (hosts === undefined || ids === undefined || !ids.delete(id) || ids.size > 0) return;
    hosts.delete(host);
    if (hosts.size === 0) this.#networks.delete(network);
  }

  /** Whether the host has an endpoint on the network. */
  has({ network, host }: EndpointPlace): boolean {
    return this.#networks.get(network)?.has(host) ?? false;
  }

  /** Whether any host has an endpoint on the network. */
  isUsed(network: string): boolean {
    return this.#networks.has(network);
  }

  *ofNetwork(network: string): Generator<string> {
    for (const ids of this.#networks.get(network)?.values() ?? []) yield* ids;
  }

  *ofHost(host: PeerId): Generator<string> {
    for (const hosts of this.#networks.values()) yield* hosts.get(host) ?? [];
  }

  *at({ network, host }: EndpointPlace): Generator<string> {
    yield* this.#networks.get(network)?.get(host) ?? [];
  }
}
