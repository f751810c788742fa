import fc from 'fast-check';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

/** Runs a fast-check property with a seed that a failure prints and `SEED=` repeats. */
export function check<Values extends [unknown, ...unknown[]]>(
  property: fc.IProperty<Values>,
  runs = 1000,
): void {
  fc.assert(property, { seed, numRuns: runs });
}

/** Random bytes inside a larger buffer, whose other bytes no decoder may look at. */
export interface Slice {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
}

const MARGIN_BYTES = 32;

/**
 * Slices of random bytes, `head` before them half of the time so that decoders get past their first
 * checks. `guarded` wraps the buffer so that a read outside [start, end) throws.
 */
export function slices(maxBytes: number, ...heads: readonly Uint8Array[]): fc.Arbitrary<Slice> {
  const head = fc.constantFrom(new Uint8Array(), ...heads);
  return fc
    .tuple(head, fc.uint8Array({ maxLength: maxBytes }), fc.nat(MARGIN_BYTES))
    .map(([first, rest, start]) => {
      const bytes = Buffer.concat([first, rest]);
      const buf = Buffer.alloc(start + bytes.length + MARGIN_BYTES, 0xa5);
      buf.set(bytes, start);
      return { buf, start, end: start + bytes.length };
    });
}

/** The slice's buffer behind a guard: any indexed read outside [start, end) throws. */
export function guarded({ buf, start, end }: Slice): Buffer {
  return new Proxy(buf, {
    get(target, key) {
      const index = typeof key === 'string' && /^-?\d+$/.test(key) ? Number(key) : undefined;
      if (index !== undefined && (index < start || index >= end)) {
        throw new RangeError(`read of byte ${index} outside [${start}, ${end})`);
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
