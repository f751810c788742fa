import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { packageRoot } from '../../base/package-root.ts';
import { loadNativeAddon, type NativeFastPath, type NativePlane } from './addon.ts';
import { FastPath } from './fast-path.ts';

/** What `npm run build` makes of native/fastpath/fast-path.bpf.c. */
export const FAST_PATH_OBJECT = join(packageRoot, 'native/build/Release/fast-path.bpf.o');

export interface FastPathOptions {
  /** `off`: every frame goes through user space. */
  readonly choice: 'auto' | 'off';
  readonly vxlanPort: number;
  /** Milliseconds. */
  readonly fdbMaxAge: number;
  /** Where the data plane listens. */
  readonly addresses: readonly string[];
}

/** Ready for use, or why not: a clause for `weft status`. */
export type OpenedFastPath = FastPath | { readonly off: string };

/** Loads the programs and has the forwarder keep their MAC table; before the first network is added. */
export function openFastPath(native: NativePlane, options: FastPathOptions): OpenedFastPath {
  const source = options.addresses.find((address) => !address.includes(':'));
  if (options.choice === 'off') return { off: 'switched off by --fast-path off' };
  if (source === undefined) return { off: 'the underlay is IPv6, which it does not carry' };
  if (!existsSync(FAST_PATH_OBJECT)) {
    return { off: 'it was not built, for want of clang-14: install that and run npm run build' };
  }
  const kernel = new (loadNativeAddon().FastPath)();
  const obstacle = load(kernel, options);
  if (obstacle !== undefined) {
    kernel.close();
    return { off: obstacle };
  }
  native.mirrorFdb(kernel);
  return new FastPath(kernel, source === '0.0.0.0' ? '' : source);
}

function load(
  kernel: NativeFastPath,
  { vxlanPort, fdbMaxAge }: FastPathOptions,
): string | undefined {
  const failure = kernel.load(FAST_PATH_OBJECT, vxlanPort, fdbMaxAge);
  if (failure !== undefined) {
    const { step, errno, log } = failure;
    const detail = log === '' ? '' : `: ${log}`;
    return `the kernel refused its ${step} (${getSystemErrorName(errno)}${detail})`;
  }
  const errno = kernel.probe();
  if (errno === 0) return undefined;
  return `the kernel can't attach it (${getSystemErrorName(errno)}); that takes Linux 6.6`;
}
