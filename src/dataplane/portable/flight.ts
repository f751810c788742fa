import { createFrameBatch, type FrameBatch } from '../../base/frame-batch.ts';
import type { UdpSent } from '../../underlay/udp.ts';

/**
 * A batch whose frames may still be on their way out: node:dgram keeps the bytes that it was given
 * until it calls back, so the batch may not be read into again before the last call back.
 */
export class Flight {
  readonly frames: FrameBatch;
  /** To be given to the socket with each datagram; one function for the life of the batch. */
  readonly sent: UdpSent;
  #pending = 0;

  constructor(frames: FrameBatch, failed: () => void, landed: (flight: Flight) => void) {
    this.frames = frames;
    this.sent = (error) => {
      if (error !== null) failed();
      if (--this.#pending === 0) landed(this);
    };
  }

  /** One more datagram has been handed to a socket together with `sent`. */
  depart(): void {
    this.#pending++;
  }

  get isGrounded(): boolean {
    return this.#pending === 0;
  }
}

export interface FlightPoolOptions {
  readonly flights: number;
  readonly framesPerFlight: number;
  readonly maxFrameBytes: number;
  readonly headroom: number;
}

/**
 * The batches of one port. While all of them are under way the port is not read: the frames wait in
 * the device's own queue, whose owner notices, instead of in ours.
 */
export class FlightPool {
  /** Called when a batch comes back to a pool that was found empty. */
  onRefill: () => void = () => undefined;
  readonly #free: Flight[] = [];
  #foundEmpty = false;

  /** `failed` is called for each datagram that a socket refused. */
  constructor(options: FlightPoolOptions, failed: () => void) {
    const { flights, framesPerFlight, maxFrameBytes, headroom } = options;
    const landed = (flight: Flight): void => this.giveBack(flight);
    while (this.#free.length < flights) {
      const frames = createFrameBatch(framesPerFlight, maxFrameBytes, headroom);
      this.#free.push(new Flight(frames, failed, landed));
    }
  }

  /** A batch that nothing else uses, or `undefined`; then `onRefill` follows. */
  take(): Flight | undefined {
    const flight = this.#free.pop();
    this.#foundEmpty = flight === undefined;
    return flight;
  }

  /** Of a batch none of whose frames is under way. */
  giveBack(flight: Flight): void {
    this.#free.push(flight);
    if (!this.#foundEmpty) return;
    this.#foundEmpty = false;
    this.onRefill();
  }
}
