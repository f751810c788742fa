import type { PeerId } from '../../src/base/types.ts';

/** A row of the endpoint table: written once, deleted once. */
export interface EndpointRow {
  readonly endpoint: number;
  readonly offset: bigint;
  readonly host: PeerId;
  /** The host's epoch when it gave the address out. */
  readonly epoch: number;
  readonly isDeleted: boolean;
}

/** Takes a row in; true if it was news. A deletion is the later of the two versions there can be. */
export function mergeRow(rows: Map<number, EndpointRow>, row: EndpointRow): boolean {
  const held = rows.get(row.endpoint);
  if (held !== undefined && (held.isDeleted || !row.isDeleted)) return false;
  rows.set(row.endpoint, row);
  return true;
}
