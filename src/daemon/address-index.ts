import { addressesOf, type Endpoint } from '../network/endpoint.ts';

type Place = Pick<Endpoint, 'network' | 'address'>;
type Row = Pick<Endpoint, 'network' | 'address' | 'address6'>;

/** Which endpoints have which address, so that asking costs no walk over the table. */
export class AddressIndex {
  readonly #networks = new Map<string, Map<string, Set<string>>>();

  add(id: string, row: Row): void {
    for (const address of addressesOf(row)) this.#add(id, { network: row.network, address });
  }

  remove(id: string, row: Row): void {
    for (const address of addressesOf(row)) this.#remove(id, { network: row.network, address });
  }

  /** Ids of the endpoints that have the address. */
  at({ network, address }: Place): Iterable<string> {
    return this.#networks.get(network)?.get(address) ?? [];
  }

  #add(id: string, { network, address }: Place): void {
    const addresses = this.#networks.get(network) ?? new Map<string, Set<string>>();
    this.#networks.set(network, addresses);
    const ids = addresses.get(address);
    if (ids === undefined) addresses.set(address, new Set([id]));
    else ids.add(id);
  }

  #remove(id: string, { network, address }: Place): void {
    const addresses = this.#networks.get(network);
    const ids = addresses?.get(address);
    if (addresses === undefined || ids === undefined || !ids.delete(id) || ids.size > 0) return;
    addresses.delete(address);
    if (addresses.size === 0) this.#networks.delete(network);
  }
}
