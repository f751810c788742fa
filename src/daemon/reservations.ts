import { bareAddress } from '../wire/cidr.ts';
import type { State } from './state.ts';

const KIND = 'reservation';

/** An address that is held without an endpoint, or before one. */
export interface Held {
  /** The network's id, since another of the same name is another. */
  readonly pool: string;
  /** CIDR, as `Endpoint.address`. */
  readonly address: string;
  /** As in an endpoint's row. */
  readonly epoch?: number;
  readonly holder: string;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
}

/**
 * The addresses that this host holds for container engines: in memory to be asked, on disk to be there
 * after a restart. An address is on disk before anybody is told of it, and off it before anybody else
 * can have it (ADR 30).
 */
export class Reservations {
  readonly #state: Pick<State, 'note' | 'notes' | 'forgetNote'>;
  readonly #held: Map<string, Held>;

  constructor(state: Pick<State, 'note' | 'notes' | 'forgetNote'>) {
    this.#state = state;
    this.#held = state.notes(KIND) as Map<string, Held>;
  }

  all(): Held[] {
    return [...this.#held.values()];
  }

  ofPool(pool: string): Held[] {
    return this.all().filter((held) => held.pool === pool);
  }

  get(pool: string, address: string): Held | undefined {
    return this.#held.get(keyOf(pool, address));
  }

  /** E_STATE if the disk refuses; then it is not held. */
  async put(held: Held): Promise<void> {
    const key = keyOf(held.pool, held.address);
    await this.#state.note(KIND, key, held);
    this.#held.set(key, held);
  }

  /** E_STATE if the disk refuses; then it is held as before. */
  async remove({ pool, address }: Pick<Held, 'pool' | 'address'>): Promise<void> {
    const key = keyOf(pool, address);
    await this.#state.forgetNote(KIND, key);
    this.#held.delete(key);
  }
}

const keyOf = (pool: string, address: string): string => `${pool} ${bareAddress(address)}`;
