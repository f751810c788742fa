/** Runs asynchronous jobs one after another, in the order in which they came. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Settles as `job` does; a job that rejects does not stop those after it. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job, job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
