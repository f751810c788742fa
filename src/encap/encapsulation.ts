import type { Vni } from '../base/types.ts';
import type { IpFamily } from './mtu.ts';

/** Where `unwrap` puts what it read beside the frame's offset; made once by the caller and reused. */
export interface Unwrapped {
  vni: Vni;
}

/**
 * A byte format that carries frames in datagrams. Knows no sockets and keeps no state; its calls
 * neither allocate nor throw, whatever the bytes are.
 */
export interface Encapsulation<Refusal extends string = string> {
  /** What networks are created with, e.g. `vxlan`. */
  readonly name: string;
  /** UDP port by default. */
  readonly udpPort: number;
  /** Bytes that `wrap` writes before the frame. */
  readonly headroomBytes: number;
  /** Bytes of an underlay packet that aren't the inner IP packet (see mtu.ts). */
  overheadBytes(family: IpFamily): number;
  /**
   * Writes the header into the headroom before a frame, without moving the frame.
   * @param buf  owned by the caller; bytes [frameAt - headroomBytes, frameAt) are overwritten
   * @returns offset of the first byte to send
   */
  wrap(buf: Uint8Array, frameAt: number, vni: Vni): number;
  /**
   * Reads the datagram `buf[start, end)`.
   * @returns offset of the frame, at least `start`; or, negative, a code for `refusals`
   */
  unwrap(buf: Uint8Array, start: number, end: number, out: Unwrapped): number;
  /** Names of drop counters: the code -1 stands for `refusals[0]`, -2 for `refusals[1]`, and so on. */
  readonly refusals: readonly Refusal[];
  /** A cheap guess, from the first byte or two, whether a datagram is of this format. */
  looksLike(buf: Uint8Array, start: number, end: number): boolean;
}

/** What a network needs to know of a format: its name and what it costs. */
export type NetworkEncapsulation = Pick<Encapsulation, 'name' | 'overheadBytes'>;

/** The drop counter for a negative result of `unwrap`. */
export function refusalName<Refusal extends string>(
  encapsulation: Encapsulation<Refusal>,
  code: number,
): Refusal {
  return encapsulation.refusals[-code - 1]!;
}
