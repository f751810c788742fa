import type { Millis } from '../../src/base/types.ts';

/** What runs one machine: tells when that has something to do, and does it. */
export interface MachineHost {
  readonly nextDue: Millis | undefined;
  expire(): void;
}

/** Hosts with a machine each, and what happens between them, on one virtual clock in milliseconds. */
export class MachineWorld<H extends MachineHost> {
  readonly hosts: H[] = [];
  now = 0;
  #events: { readonly at: number; readonly run: () => void }[] = [];

  after(delay: number, run: () => void): void {
    this.#events.push({ at: this.now + delay, run });
  }

  run(duration: number): void {
    const end = this.now + duration;
    for (;;) {
      const due = this.hosts.flatMap(({ nextDue }) => nextDue ?? []);
      const next = Math.min(...due, ...this.#events.map(({ at }) => at));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const ready = this.#events.filter(({ at }) => at <= this.now);
      this.#events = this.#events.filter(({ at }) => at > this.now);
      for (const { run } of ready) run();
      for (const host of this.hosts) host.expire();
    }
    this.now = end;
  }
}
