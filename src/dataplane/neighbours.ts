import { type Mac } from '../base/types.ts';
import { readU32 } from '../wire/bytes.ts';
import { ZERO_MAC } from '../wire/mac.ts';

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;

/** Addresses of one network's endpoints on other hosts, and whose they are. Every call is O(1) in expectation. */
export class Neighbours {
  readonly #v4 = new Map<number, Mac>();
  /** By the 16 bytes as Latin-1: the one short string that a solicitation costs. */
  readonly #v6 = new Map<string, Mac>();

  /** `address` is 4 or 16 bytes. Of two that claim it, the later has it. */
  set(address: Uint8Array, mac: Mac): void {
    if (address.length === IPV4_BYTES) this.#v4.set(readU32(address, 0), mac);
    else this.#v6.set(keyOf(address, 0), mac);
  }

  /** Forgets an address, unless another has it by now. */
  remove(address: Uint8Array, mac: Mac): void {
    if (address.length === IPV4_BYTES) {
      const key = readU32(address, 0);
      if (this.#v4.get(key) === mac) this.#v4.delete(key);
    } else {
      const key = keyOf(address, 0);
      if (this.#v6.get(key) === mac) this.#v6.delete(key);
    }
  }

  /** Of an address as an unsigned integer; zero if nobody has it. */
  find4(address: number): Mac {
    return this.#v4.get(address) ?? ZERO_MAC;
  }

  /** Of the address in `buf[at, at + 16)`; zero if nobody has it. */
  find6(buf: Uint8Array, at: number): Mac {
    return this.#v6.get(keyOf(buf, at)) ?? ZERO_MAC;
  }
}

function keyOf(buf: Uint8Array, at: number): string {
  return String.fromCharCode(...buf.subarray(at, at + IPV6_BYTES));
}
