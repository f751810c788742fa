/**
 * Ctrl-C. The lab that is up removes its namespaces and then ends the process; this only remembers the
 * signal, so that nothing new is begun, and nothing reported as failed, while that goes on.
 */
export class Interrupt {
  #signal: NodeJS.Signals | undefined;

  readonly #remember = (signal: NodeJS.Signals): void => {
    this.#signal = signal;
  };

  constructor() {
    process.on('SIGINT', this.#remember);
    process.on('SIGTERM', this.#remember);
  }

  /** The exit status that tells of the signal, once there was one. */
  get exitStatus(): number | undefined {
    if (this.#signal === undefined) return undefined;
    return this.#signal === 'SIGINT' ? 130 : 143;
  }

  /** Throws if a signal has come: call it between two steps. */
  check(): void {
    if (this.#signal !== undefined) throw new Error(`interrupted by ${this.#signal}`);
  }
}
