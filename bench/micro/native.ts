import { loadAddon } from '../../src/base/package-root.ts';
import { DEFAULT_FDB_CAPACITY } from '../../src/dataplane/fdb.ts';
import { measureTimed, type MicroResult, type TimedLoop } from './measure.ts';

/**
 * What the native core costs per operation. The loops are in C++ (native/test-addon/micro.cpp) and called
 * once a round, so that no crossing from JavaScript is in the figures.
 */
interface MicroAddon {
  /** Library and version. */
  readonly cipherLibrary: string;
  /** Each loop returns nanoseconds an operation, or undefined if the core did not do what was asked. */
  segmentLoop(operations: number, isPartial: boolean): number | undefined;
  coalesceLoop(operations: number, isPartial: boolean): number | undefined;
  sealLoop(
    operations: number,
    isChaCha: boolean,
    frameBytes: number,
    isOpenTimed: boolean,
  ): number | undefined;
  fdbLoop(operations: number, capacity: number, isKnown: boolean): number | undefined;
}

/** Some milliseconds a round. */
const CHEAP_OPERATIONS = 200_000;
const CIPHER_OPERATIONS = 20_000;
const SEALED_FRAME_BYTES = [64, 1400] as const;
const CIPHERS = ['AES-256-GCM', 'ChaCha20-Poly1305'] as const;

interface NativeOperation {
  readonly name: string;
  readonly loop: TimedLoop;
  readonly operations: number;
}

function operation(
  name: string,
  operations: number,
  loop: (operations: number) => number | undefined,
): NativeOperation {
  return {
    name: `native ${name}`,
    operations,
    loop(count) {
      const nanoseconds = loop(count);
      if (nanoseconds === undefined) throw new Error(`${name}: the core refused an operation`);
      return nanoseconds;
    },
  };
}

function sealing(addon: MicroAddon): NativeOperation[] {
  return CIPHERS.flatMap((cipher) =>
    SEALED_FRAME_BYTES.flatMap((bytes) =>
      (['seal', 'open'] as const).map((verb) =>
        operation(
          `${verb} ${bytes} B, ${cipher}, ${addon.cipherLibrary}`,
          CIPHER_OPERATIONS,
          (count) => addon.sealLoop(count, cipher === 'ChaCha20-Poly1305', bytes, verb === 'open'),
        ),
      ),
    ),
  );
}

/** Every operation, by name. */
export function nativeOperations(): readonly NativeOperation[] {
  const addon = loadAddon('dataplane_test') as MicroAddon;
  const cheap = (name: string, loop: (count: number) => number | undefined): NativeOperation =>
    operation(name, CHEAP_OPERATIONS, loop);
  return [
    cheap('segment and VXLAN, checksum whole', (count) => addon.segmentLoop(count, false)),
    cheap('segment and VXLAN, checksum partial', (count) => addon.segmentLoop(count, true)),
    cheap('coalesce, checksum verified', (count) => addon.coalesceLoop(count, false)),
    cheap('coalesce, checksum partial', (count) => addon.coalesceLoop(count, true)),
    ...sealing(addon),
    cheap('fdb lookup, hit', (count) => addon.fdbLoop(count, DEFAULT_FDB_CAPACITY, true)),
    cheap('fdb lookup, miss', (count) => addon.fdbLoop(count, DEFAULT_FDB_CAPACITY, false)),
  ];
}

/** Measures every operation of the native core. Takes some seconds. */
export function runNativeMicro(): MicroResult[] {
  return nativeOperations().map(({ name, loop, operations }) =>
    measureTimed(name, loop, operations),
  );
}
