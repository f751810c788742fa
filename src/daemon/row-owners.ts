import type { PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { CLUSTER } from './cluster-holds.ts';

/*
 * Whose the rows of the replicated tables are (docs/adr/0046). The owner stands in the key, so that a
 * deletion tells it as well; what a row says of its host must be the same.
 */

const HOST_ID = /^[0-9a-f]{32}$/;

type OwnerOf = (key: string) => PeerId | undefined;

/** The host that a key names as its word number `index`; undefined if that is none. */
const hostAt =
  (index: number): OwnerOf =>
  (key) => {
    const word = key.split(' ')[index] ?? '';
    return HOST_ID.test(word) && word !== CLUSTER ? (word as PeerId) : undefined;
  };

/** Of endpoints, keyed by `HOST ENDPOINT`. */
export const endpointOwner = hostAt(0);
/** Of what is keyed by `NETWORK HOST`: what engines use, and what hosts say of networks' MTUs. */
export const networkHostOwner = hostAt(1);
/** Of broken pairs, keyed by `HOST`. */
export const brokenOwner = hostAt(0);

/** The rules of a table whose rows say of which host they are: none is another's than its key says. */
export const ownTable = <T extends { readonly host: PeerId }>(
  parse: (value: unknown) => T | undefined,
  owner: OwnerOf,
): {
  readonly owner: OwnerOf;
  readonly validate: (value: unknown, key: string) => T | undefined;
} => ({
  owner,
  validate: (value, key) => {
    const row = parse(value);
    return row !== undefined && row.host === (owner(key) ?? CLUSTER) ? row : undefined;
  },
});

/** The key of an endpoint's row. Ids come from engines: two hosts may have the same, and each its own row. */
export const endpointKey = ({ host, id }: Pick<Endpoint, 'host' | 'id'>): string => `${host} ${id}`;

/** The endpoint's id in the key of its row. */
export const endpointId = (key: string): string => key.slice(key.indexOf(' ') + 1);
