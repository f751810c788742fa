import { z } from 'zod';
import type { Logger } from '../base/log.ts';
import { isEngineManaged, type Endpoint } from '../network/endpoint.ts';
import type { Directory } from './directory.ts';
import { parseEndpointRecord } from './records.ts';
import type { State } from './state.ts';

/**
 * What changes the kernel and the tables, and may be cut off between the two. A move gives an endpoint
 * that stays another network or address.
 */
type Act = 'attach' | 'detach' | 'move';

interface Begun {
  readonly act: Act;
  readonly endpoint: Endpoint;
}

const begunNote = z.object({
  act: z.enum(['attach', 'detach', 'move']),
  id: z.string(),
  endpoint: z.unknown(),
});

/** Reads a note; undefined if it is none of this version's. */
function readNote(note: unknown): Begun | undefined {
  const { data } = begunNote.safeParse(note);
  const record = data && parseEndpointRecord(data.endpoint);
  return record && { act: data.act, endpoint: { id: data.id, ...record } };
}

/** What the journal needs of `State`. */
export type JournalStore = Pick<State, 'begin' | 'end' | 'begun' | 'settled'>;

/**
 * Notes on disk which endpoint is being attached or detached, before anybody hears of it. A row travels
 * to the other hosts before it is on this host's disk; a crash in between would let this host give an
 * address away that the mesh still counts as taken, or keep one that the mesh has given to another.
 * With the note, the next start knows better: see `recover`.
 */
export class Journal {
  readonly #store: JournalStore;

  constructor(store: JournalStore) {
    this.#store = store;
  }

  /**
   * Notes it, does it, and settles when all that it changed is on disk. E_STATE if the note can't be
   * written (nothing is done then), or if what was done can't (then a crash undoes an attach).
   */
  async during<T>(act: Act, endpoint: Endpoint, job: () => Promise<T>): Promise<T> {
    const { id } = endpoint;
    await this.#begin(act, endpoint);
    let result: T;
    try {
      result = await job();
    } catch (error) {
      this.#store.end(id);
      throw error;
    }
    await this.#store.settled();
    this.#store.end(id);
    return result;
  }

  /**
   * After a start, before anything is reconciled: undoes each attach whose row did not reach the disk
   * and completes each detach and move. `unplug` removes the interface, which may not bear the mark yet by
   * which the auditor would know it; that of a moved endpoint to be made anew, unless a container engine
   * made it: then it keeps address and MAC.
   */
  async recover(
    directory: Directory,
    log: Logger,
    unplug: (endpointId: string) => Promise<unknown>,
  ): Promise<void> {
    for (const note of this.#store.begun()) {
      const begun = readNote(note);
      if (begun === undefined) continue;
      const { act, endpoint } = begun;
      if (act === 'move') {
        if (directory.endpoint(endpoint.id) !== undefined) directory.putEndpoint(endpoint);
        if (!isEngineManaged(endpoint)) await unplug(endpoint.id);
        this.#store.end(endpoint.id);
        continue;
      }
      const isKept = act === 'attach' && directory.endpoint(endpoint.id) !== undefined;
      if (!isKept) {
        await this.#remove(act, endpoint, directory, log);
        await unplug(endpoint.id);
      }
      this.#store.end(endpoint.id);
    }
  }

  /** Leaves a tombstone even if this host has no row: others may have heard of it. */
  async #remove(act: Act, endpoint: Endpoint, directory: Directory, log: Logger): Promise<void> {
    const { id, network, address } = endpoint;
    // Only what is there leaves a tombstone. Should we die between the two, the note says what is meant.
    await this.#begin('detach', endpoint);
    directory.putEndpoint(endpoint);
    directory.removeEndpoint(endpoint);
    log.info({ endpoint: id, network, address, act }, 'cut off by a crash; endpoint removed');
  }

  #begin(act: Act, { id, ...endpoint }: Endpoint): Promise<void> {
    return this.#store.begin(id, { act, id, endpoint });
  }
}
