import type { ForgetReport, ForgetRequest } from '../api/control.ts';
import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { ownersOf } from '../ipam/pool.ts';
import type { Addresses } from './addresses.ts';
import type { Directory } from './directory.ts';
import type { NameRows } from './name-rows.ts';
import type { NetworkMtus } from './network-mtus.ts';
import type { Peers } from './peers.ts';

const MIN_ID_PREFIX = 4;

export interface ForgettingOptions {
  readonly addresses: Addresses;
  readonly directory: Directory;
  readonly peers: Peers;
  readonly names: NameRows;
  readonly networkMtus: Pick<NetworkMtus, 'removeHost'>;
}

/** Forgets hosts that will not come back: their addresses first, and then their rows. */
export class Forgetting {
  readonly #options: ForgettingOptions;

  constructor(options: ForgettingOptions) {
    this.#options = options;
  }

  /** Done again, or by several hosts at once, it changes nothing more. */
  async forget({ host, force = false }: ForgetRequest): Promise<ForgetReport> {
    const { addresses, directory, names, networkMtus, peers } = this.#options;
    const id = this.#find(host);
    if (peers.isAlive(id)) {
      throw new AppError(
        'E_HOST_ALIVE',
        `Host ${peers.nameOf(id)} is alive; stop its daemon first, or detach its endpoints there.`,
      );
    }
    await addresses.forget(id, force);
    const endpoints = directory.endpointsOf(id);
    for (const endpoint of endpoints) directory.removeEndpoint(endpoint);
    for (const use of directory.uses()) if (use.host === id) directory.removeUse(use);
    names.removeHost(id);
    networkMtus.removeHost(id);
    return { host: peers.nameOf(id), id, endpoints: endpoints.map((endpoint) => endpoint.id) };
  }

  #find(text: string): PeerId {
    const known = this.#known();
    const matches = [...known].filter(
      ([id, name]) =>
        name === text || id === text || (text.length >= MIN_ID_PREFIX && id.startsWith(text)),
    );
    const [only, ...others] = matches;
    if (only !== undefined && others.length === 0) return only[0];
    throw new AppError(
      'E_HOST_MISSING',
      only === undefined
        ? `There is no host ${text}; "weft peers" and "weft ipam status" list those that there are.`
        : `"${text}" names ${matches.length} hosts; give one of the ids ${matches.map(([id]) => id).join(', ')}.`,
    );
  }

  /** All hosts that anything here still speaks of. */
  #known(): ReadonlyMap<PeerId, string> {
    const { addresses, directory, peers } = this.#options;
    const ids = [
      ...peers.ids(),
      ...directory.endpoints().map(({ host }) => host),
      ...addresses.pools().flatMap(({ holding }) => ownersOf(holding.chosen)),
    ];
    return new Map(ids.map((id) => [id, peers.nameOf(id)]));
  }
}
