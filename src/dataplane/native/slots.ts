import type { TrafficCounters } from '../dataplane.ts';

/** Slots of one port or VTEP: rx frames, rx bytes, tx frames, tx bytes. */
const TRAFFIC_SLOTS = 4;
const RECORDS_PER_CHUNK = 256;

/** Where one port's or VTEP's counters are. */
export interface TrafficSlots {
  readonly slots: BigUint64Array;
  readonly first: number;
}

/** Hands out counters in chunks that never move, since the forwarder's thread writes into them. */
export class TrafficSlotPool {
  readonly #free: TrafficSlots[] = [];

  /** Four slots, all 0. */
  take(): TrafficSlots {
    if (this.#free.length === 0) this.#grow();
    const taken = this.#free.pop()!;
    taken.slots.fill(0n, taken.first, taken.first + TRAFFIC_SLOTS);
    return taken;
  }

  /** For slots that the forwarder no longer writes. */
  giveBack(slots: TrafficSlots): void {
    this.#free.push(slots);
  }

  #grow(): void {
    const slots = new BigUint64Array(new ArrayBuffer(RECORDS_PER_CHUNK * TRAFFIC_SLOTS * 8));
    for (let first = slots.length - TRAFFIC_SLOTS; first >= 0; first -= TRAFFIC_SLOTS) {
      this.#free.push({ slots, first });
    }
  }
}

/** The counters as they are now; each is exact, but a frame may be in one and not yet in the next. */
export function readTrafficSlots({ slots, first }: TrafficSlots): TrafficCounters {
  return {
    rxFrames: Number(slots[first]),
    rxBytes: Number(slots[first + 1]),
    txFrames: Number(slots[first + 2]),
    txBytes: Number(slots[first + 3]),
  };
}
