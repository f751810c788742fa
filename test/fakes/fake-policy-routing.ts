import { CommandFailed } from '../../src/os/exec.ts';
import { policyText, type PolicyEntry, type PolicyRouting } from '../../src/os/policy-routing.ts';

/** Rules and a table of routes in memory. A route goes with its device, a rule stays. */
export class FakePolicyRouting implements PolicyRouting {
  readonly #hasDevice: (name: string) => boolean;
  readonly #entries = new Map<string, PolicyEntry>();
  /** How often it was looked at. */
  looks = 0;
  changes = 0;
  /** As a kernel without policy rules. */
  isRefusing = false;

  constructor(hasDevice: (name: string) => boolean) {
    this.#hasDevice = hasDevice;
  }

  /** What there is, as text; a test may take from it. */
  texts(): string[] {
    return this.#present().map(policyText);
  }

  forget(text: string): void {
    this.#entries.delete(text);
  }

  list(): Promise<readonly PolicyEntry[]> {
    this.looks++;
    return Promise.resolve(this.#present());
  }

  change(gone: readonly PolicyEntry[], added: readonly PolicyEntry[]): Promise<void> {
    if (gone.length + added.length > 0) this.changes++;
    for (const entry of gone) this.#entries.delete(policyText(entry));
    for (const entry of added) {
      if (this.isRefusing || !this.#isPossible(entry)) {
        return Promise.reject(new CommandFailed(`The ${policyText(entry)} can't be added.`));
      }
      this.#entries.set(policyText(entry), entry);
    }
    return Promise.resolve();
  }

  #isPossible(entry: PolicyEntry): boolean {
    return entry.kind === 'rule' || this.#hasDevice(entry.device);
  }

  #present(): PolicyEntry[] {
    return [...this.#entries.values()].filter((entry) => this.#isPossible(entry));
  }
}
