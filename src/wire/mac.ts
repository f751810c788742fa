import { randomInt, type Rng } from '../base/rng.ts';
import { asMac, type Mac } from '../base/types.ts';
import { readU24, writeU24 } from './bytes.ts';

/**
 * Ethernet addresses as 48-bit integers, `hi24 * 2^24 + lo24`: exact in a double, cheap as a Map key.
 *
 *   byte   0        1        2        3        4        5
 *         |------I/G|--------|--------|--------|--------|--------|
 *          ^^^^^^U/L^
 *   I/G (0x01 of byte 0): group address.  U/L (0x02): locally administered. (IEEE 802 §8)
 */
export const MAC_BYTES = 6;
export const ZERO_MAC: Mac = asMac(0);
export const BROADCAST_MAC: Mac = asMac(2 ** 48 - 1);

const HALF = 2 ** 24;
const HALF_BYTES = 3;
const FIRST_BYTE = 2 ** 40;
const GROUP_BIT = 0x01;
const LOCAL_BIT = 0x02;

/** Reads the address at `buf[at, at + 6)`; the caller has checked that the bytes are there. */
export function readMac(buf: Uint8Array, at: number): Mac {
  return asMac(readU24(buf, at) * HALF + readU24(buf, at + HALF_BYTES));
}

/** Writes the address to `buf[at, at + 6)`. */
export function writeMac(buf: Uint8Array, at: number, mac: Mac): void {
  writeU24(buf, at, Math.floor(mac / HALF));
  writeU24(buf, at + HALF_BYTES, mac % HALF);
}

/** Broadcast or multicast: may be a destination, never a source (IEEE 802.3 §3.2.3). */
export function isGroupMac(mac: Mac): boolean {
  return (Math.floor(mac / FIRST_BYTE) & GROUP_BIT) !== 0;
}

/** The all-zero address: no station has it. */
export function isZeroMac(mac: Mac): boolean {
  return mac === ZERO_MAC;
}

/** Whether a station may own it and send from it: neither zero nor a group address. */
export function isStationMac(mac: Mac): boolean {
  return !isZeroMac(mac) && !isGroupMac(mac);
}

/** Six pairs of hex digits joined by `:` or by `-`, any case; `undefined` for anything else. */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i.test(text)) return undefined;
  return asMac(Number.parseInt(text.replaceAll(/[:-]/g, ''), 16));
}

/** `02:00:5e:10:00:01`: the one textual form that Weft prints. */
export function formatMac(mac: Mac): string {
  const digits = mac.toString(16).padStart(2 * MAC_BYTES, '0');
  return (digits.match(/../g) ?? []).join(':');
}

/** A random unicast, locally administered address: 46 bits of chance. */
export function randomLocalMac(rng: Rng): Mac {
  const first = (randomInt(rng, 0x100) & ~GROUP_BIT) | LOCAL_BIT;
  const rest = randomInt(rng, 2 ** 16) * HALF + randomInt(rng, HALF);
  return asMac(first * FIRST_BYTE + rest);
}
