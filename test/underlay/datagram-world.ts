import type { Rng } from '../../src/base/rng.ts';
import { asMillis, formatSocketAddress, type SocketAddress } from '../../src/base/types.ts';
import type { DatagramChannel } from '../../src/underlay/datagram.ts';
import type { ManualClock } from '../fakes/manual-clock.ts';

export interface Weather {
  /** Shares of datagrams, 0 to 1. */
  loss: number;
  duplication: number;
  /** Milliseconds, evenly spread: what is sent later may arrive sooner. */
  latency: readonly [least: number, most: number];
}

/** Datagrams between channels on a clock that the test moves. */
export class DatagramWorld {
  weather: Weather = { loss: 0, duplication: 0, latency: [1, 1] };
  /** All that was sent, lost or not. */
  readonly log: { readonly to: string; readonly bytes: Buffer }[] = [];

  readonly #clock: ManualClock;
  readonly #rng: Rng;
  readonly #receivers = new Map<string, (bytes: Buffer, from: SocketAddress) => void>();

  constructor(clock: ManualClock, rng: Rng) {
    this.#clock = clock;
    this.#rng = rng;
  }

  channel(local: SocketAddress): DatagramChannel {
    return {
      local,
      send: (bytes, to) => this.send(bytes, local, to),
      onReceive: (receive) => void this.#receivers.set(formatSocketAddress(local), receive),
    };
  }

  send(bytes: Uint8Array, from: SocketAddress, to: SocketAddress): void {
    const copy = Buffer.from(bytes);
    this.log.push({ to: formatSocketAddress(to), bytes: copy });
    this.#carry(copy, from, to);
    if (this.#rng.next() < this.weather.duplication) this.#carry(copy, from, to);
  }

  #carry(bytes: Buffer, from: SocketAddress, to: SocketAddress): void {
    const { loss, latency } = this.weather;
    if (this.#rng.next() < loss) return;
    const delay = latency[0] + this.#rng.next() * (latency[1] - latency[0]);
    this.#clock.after(asMillis(delay), () =>
      this.#receivers.get(formatSocketAddress(to))?.(Buffer.from(bytes), from),
    );
  }
}
