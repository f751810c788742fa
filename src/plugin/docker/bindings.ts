import type { Plumbing } from '../../api/plumbing.ts';

/** Networks of this engine, and those that it has allocated as the leader of a Swarm. */
export type BindingKind = 'docker-network' | 'swarm-network';

/** Which Weft network one of Docker's networks is. Engines never tell again; Weft remembers. */
export interface Binding {
  /** Docker's id. */
  readonly id: string;
  /** Name of the Weft network. */
  readonly network: string;
  /** Docker gives out the addresses itself. */
  readonly isForeignIpam: boolean;
  /** Ids of the pools whose addresses those of the network are. */
  readonly pools: readonly string[];
  /** Written before the network was made; undone if a crash came before it was finished. */
  readonly isUnfinished: boolean;
}

/** The bindings of this host, in memory to be asked, on disk to survive. */
export class Bindings {
  readonly #plumbing: Plumbing;
  readonly #kind: BindingKind;
  readonly #bindings: Map<string, Binding>;
  readonly #confirmed = new Set<string>();

  constructor(plumbing: Plumbing, kind: BindingKind = 'docker-network') {
    this.#plumbing = plumbing;
    this.#kind = kind;
    this.#bindings = new Map(plumbing.notes(kind) as ReadonlyMap<string, Binding>);
  }

  all(): readonly Binding[] {
    return [...this.#bindings.values()];
  }

  /** What Docker's networks are by their ids; to ask is to confirm that Docker has this one. */
  get(id: string): Binding | undefined {
    if (this.#bindings.has(id)) this.#confirmed.add(id);
    return this.#bindings.get(id);
  }

  /** Whether Docker has spoken of it since this daemon started. */
  isConfirmed(id: string): boolean {
    return this.#confirmed.has(id);
  }

  ofPool(pool: string): Binding | undefined {
    return this.all().find(({ pools }) => pools.includes(pool));
  }

  async put(binding: Binding): Promise<void> {
    await this.#plumbing.note(this.#kind, binding.id, binding);
    this.#bindings.set(binding.id, binding);
    this.#confirmed.add(binding.id);
  }

  async remove(id: string): Promise<void> {
    await this.#plumbing.forgetNote(this.#kind, id);
    this.#bindings.delete(id);
    this.#confirmed.delete(id);
  }
}
