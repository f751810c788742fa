import type { NameInfo, NameRemoval, NameRequest } from '../api/control.ts';
import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { addressesOf } from '../network/endpoint.ts';
import { checkDnsName } from '../network/endpoint-names.ts';
import { bareAddress, canonicalAddress } from '../wire/cidr.ts';
import type { Directory, Rows } from './directory.ts';
import type { Networks } from './networks.ts';
import type { Peers } from './peers.ts';
import type { NameRecord } from './records.ts';

export interface NameRowsOptions {
  readonly self: PeerId;
  readonly rows: Rows<NameRecord>;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly peers: Peers;
}

/** The names that people give to addresses, and all names for a person to read. */
export class NameRows {
  readonly #options: NameRowsOptions;

  constructor(options: NameRowsOptions) {
    this.#options = options;
  }

  /** E_NAME_INVALID, E_ADDRESS_INVALID, E_NETWORK_MISSING. */
  add({ name, address, network }: NameRequest): NameInfo {
    const { self, rows, networks } = this.#options;
    const record: NameRecord = {
      ...{ name: checkDnsName(name), address: checkAddress(address), host: self },
      ...(network === undefined ? {} : { network: networks.require(network).name }),
    };
    rows.put(keyOf(record), record);
    return this.#added(record);
  }

  /** E_NAME_MISSING if nothing was given that name. */
  remove({ name, address, network }: NameRemoval): readonly NameInfo[] {
    const { rows } = this.#options;
    const wantedName = checkDnsName(name);
    const wantedAddress = address === undefined ? undefined : checkAddress(address);
    const removed = this.#where(
      (record) =>
        record.name === wantedName &&
        (wantedAddress === undefined || record.address === wantedAddress) &&
        (network === undefined || record.network === network),
    );
    if (removed.length === 0) {
      const narrowed = address !== undefined || network !== undefined;
      throw new AppError(
        'E_NAME_MISSING',
        `No ${narrowed ? 'such ' : ''}name ${wantedName} was added; "weft dns ls" lists those that were, and an endpoint's own goes with it or with "weft dns rename".`,
      );
    }
    for (const record of removed) rows.remove(keyOf(record));
    return removed.map((record) => this.#added(record));
  }

  list(): readonly NameInfo[] {
    const { directory, peers } = this.#options;
    const added = this.#where(() => true).map((record) => this.#added(record));
    const own = directory.endpoints().flatMap(({ names = [], network, host, ...endpoint }) =>
      names.flatMap((name) =>
        addressesOf(endpoint).map((address) => ({
          ...{ name, address: bareAddress(address), network, host: peers.nameOf(host) },
          ...{ origin: 'endpoint' as const, isAlive: peers.isAlive(host) },
        })),
      ),
    );
    return [...own, ...added].sort(
      (one, other) =>
        (one.network ?? '').localeCompare(other.network ?? '') ||
        one.name.localeCompare(other.name),
    );
  }

  /** What was added for a network goes with it. */
  removeNetwork(name: string): void {
    this.#remove(({ network }) => network === name);
  }

  /** What a host has added goes when it is forgotten. */
  removeHost(id: PeerId): void {
    this.#remove(({ host }) => host === id);
  }

  #remove(isMeant: (record: NameRecord) => boolean): void {
    for (const record of this.#where(isMeant)) this.#options.rows.remove(keyOf(record));
  }

  #where(isMeant: (record: NameRecord) => boolean): NameRecord[] {
    return Array.from(this.#options.rows.entries(), ({ value }) => value).filter(isMeant);
  }

  #added({ name, address, network, host }: NameRecord): NameInfo {
    const { peers } = this.#options;
    return {
      ...{ name, address, ...(network === undefined ? {} : { network }) },
      ...{ host: peers.nameOf(host), origin: 'added', isAlive: peers.isAlive(host) },
    };
  }
}

const keyOf = ({ host, network = '', name, address }: NameRecord): string =>
  `${host} ${network} ${name} ${address}`;

function checkAddress(text: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined) return address;
  throw new AppError(
    'E_ADDRESS_INVALID',
    `"${text}" is no IP address; give one such as 10.7.0.2 or fd00:7::2, without a prefix length.`,
  );
}
