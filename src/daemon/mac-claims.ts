import type { Mac } from '../base/types.ts';

/**
 * Which endpoint of one network has a MAC. Rows come in any order, so for a moment (or for as long as a
 * conflict lasts) two may claim one: the later has it, and the other again when that one goes.
 */
export class MacClaims {
  readonly #holders = new Map<Mac, string>();
  /** The other claimants, of the few MACs that have any. */
  readonly #rivals = new Map<Mac, Set<string>>();

  /** Id of the endpoint that has the MAC. */
  holder(mac: Mac): string | undefined {
    return this.#holders.get(mac);
  }

  claim(mac: Mac, id: string): void {
    const holder = this.#holders.get(mac);
    this.#holders.set(mac, id);
    if (holder === undefined || holder === id) return;
    const rivals = this.#rivals.get(mac) ?? new Set();
    rivals.add(holder).delete(id);
    this.#rivals.set(mac, rivals);
  }

  /** Takes a claim back; one that was never made does nothing. */
  release(mac: Mac, id: string): void {
    const rivals = this.#rivals.get(mac);
    rivals?.delete(id);
    if (this.#holders.get(mac) === id) {
      const [next] = rivals ?? [];
      if (next === undefined) this.#holders.delete(mac);
      else this.#holders.set(mac, next);
      if (next !== undefined) rivals?.delete(next);
    }
    if (rivals?.size === 0) this.#rivals.delete(mac);
  }
}
