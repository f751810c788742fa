import type { Clock, Timer } from '../base/clock.ts';
import { isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { asMillis, formatSocketAddress, type SocketAddress } from '../base/types.ts';
import { encodeCandidates } from '../link/candidates.ts';
import type { Ip } from '../os/ip.ts';
import { underlayAddresses } from '../os/underlay.ts';
import { familyOf } from '../wire/cidr.ts';

export interface OwnAddressesOptions {
  readonly ip: Ip;
  /** What the mesh port is bound to: wildcards mean every address of their family. */
  readonly listen: readonly string[];
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Interfaces come, go and get other addresses without a word to us. */
const REFRESH_MS = asMillis(10_000);

const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';

/** The addresses of this host's interfaces at which its mesh port is reached, looked up again and again. */
export class OwnAddresses {
  readonly #options: OwnAddressesOptions;
  #addresses: readonly string[] = [];
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: OwnAddressesOptions) {
    this.#options = options;
  }

  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** For the meta data of this host: where it is reached beside where it announces, the likeliest first. */
  candidates(announced: SocketAddress, seen: readonly SocketAddress[]): Uint8Array {
    const { port } = this.#options;
    const all = [...seen, ...this.#addresses.map((address) => ({ address, port }))];
    const others = new Map(all.map((each) => [formatSocketAddress(each), each]));
    others.delete(formatSocketAddress(announced));
    return Uint8Array.from(encodeCandidates([...others.values()]));
  }

  /** Looks them up; true if they are others than before. What can't be looked up stays as it was. */
  async refresh(): Promise<boolean> {
    const { ip, listen, log } = this.#options;
    const families = listen.filter(isWildcard).map(familyOf);
    const bound = listen.filter((address) => !isWildcard(address));
    try {
      const found = families.length === 0 ? [] : await underlayAddresses(ip, families);
      const addresses = [...new Set([...bound, ...found])];
      const isSame = addresses.join(' ') === this.#addresses.join(' ');
      this.#addresses = addresses;
      return !isSame;
    } catch (error) {
      if (!isAppError(error)) throw error;
      log.warn({ err: error }, "addresses of this host's interfaces can't be read");
      return false;
    }
  }

  /** Calls `changed` whenever they are others. */
  watch(changed: () => void): void {
    this.#timer = this.#options.clock.after(REFRESH_MS, () => {
      void this.refresh().then((isChanged) => {
        if (this.#isStopped) return;
        if (isChanged) changed();
        this.watch(changed);
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}
