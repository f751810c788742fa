import type { PeerId } from '../base/types.ts';
import { bareAddress } from '../wire/cidr.ts';
import type { Rows } from './directory.ts';
import type { ClusterHoldRecord } from './records.ts';

/** In place of a host in the table of uses: a cluster of engines, whichever of its managers speaks for it. */
export const CLUSTER = '0'.repeat(32) as PeerId;

/**
 * The addresses that a cluster's managers have given out (docs/adr/0054). `address` may be a CIDR; only
 * its address counts.
 */
export class ClusterHolds {
  readonly #rows: Rows<ClusterHoldRecord>;

  constructor(rows: Rows<ClusterHoldRecord>) {
    this.#rows = rows;
  }

  /** `network` is an id. */
  has(network: string, address: string): boolean {
    return this.#rows.get(keyOf(network, address)) !== undefined;
  }

  /** O(all). */
  ofNetwork(network: string): ClusterHoldRecord[] {
    return Array.from(this.#rows.entries(), ({ value }) => value).filter(
      (hold) => hold.network === network,
    );
  }

  put({ network, address, host }: ClusterHoldRecord): void {
    this.#rows.put(keyOf(network, address), { network, address: bareAddress(address), host });
  }

  remove(network: string, address: string): void {
    this.#rows.remove(keyOf(network, address));
  }
}

const keyOf = (network: string, address: string): string => `${network} ${bareAddress(address)}`;
