import type { TrafficCounters } from '../dataplane.ts';

const RECORDS_PER_CHUNK = 256;

/** How counters lie in memory: a row for each thread, of `rowSlots` slots. */
export interface SlotLayout {
  readonly threads: number;
  readonly rowSlots: number;
}

/** Where one port's or VTEP's counters are. */
export interface TrafficSlots {
  readonly slots: BigUint64Array;
  readonly first: number;
}

/** The sum of all threads' slots of that index in their row, of rows that begin at `first`. */
export function sumSlot(
  { slots, first }: TrafficSlots,
  { threads, rowSlots }: SlotLayout,
  index: number,
): number {
  let sum = 0n;
  for (let thread = 0; thread < threads; thread++) sum += slots[first + thread * rowSlots + index]!;
  return Number(sum);
}

/** Hands out counters in chunks that never move, since the forwarders' threads write into them. */
export class TrafficSlotPool {
  readonly #layout: SlotLayout;
  readonly #recordSlots: number;
  readonly #free: TrafficSlots[] = [];

  /** Rows have rx frames, rx bytes, tx frames and tx bytes first. */
  constructor(layout: SlotLayout) {
    this.#layout = layout;
    this.#recordSlots = layout.threads * layout.rowSlots;
  }

  /** All 0. */
  take(): TrafficSlots {
    if (this.#free.length === 0) this.#grow();
    const taken = this.#free.pop()!;
    taken.slots.fill(0n, taken.first, taken.first + this.#recordSlots);
    return taken;
  }

  /** For slots that the forwarders no longer write. */
  giveBack(slots: TrafficSlots): void {
    this.#free.push(slots);
  }

  /** The counters as they are now; each is exact, but a frame may be in one and not yet in the next. */
  read(traffic: TrafficSlots): TrafficCounters {
    const [rxFrames, rxBytes, txFrames, txBytes] = [0, 1, 2, 3].map((index) =>
      sumSlot(traffic, this.#layout, index),
    ) as [number, number, number, number];
    return { rxFrames, rxBytes, txFrames, txBytes };
  }

  #grow(): void {
    const size = this.#recordSlots;
    const slots = new BigUint64Array(new ArrayBuffer(RECORDS_PER_CHUNK * size * 8));
    for (let first = slots.length - size; first >= 0; first -= size) {
      this.#free.push({ slots, first });
    }
  }
}
