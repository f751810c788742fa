import { bare } from './bare.ts';
import { bridge } from './bridge.ts';
import type { Contender } from './contender.ts';
import { kernelVxlan } from './kernel-vxlan.ts';
import { weftNative } from './weft-native.ts';
import {
  weftNativeDefault,
  weftNativeSealed,
  weftNativeTap,
  weftNativeTrusted,
} from './weft-native-sealed.ts';
import { weftNativeTwoThreads, weftNativeUserspace } from './weft-native-userspace.ts';
import { weftPortable } from './weft-portable.ts';

/** Always at hand. */
export const CONTENDERS: readonly Contender[] = [
  bare,
  bridge,
  kernelVxlan,
  weftPortable,
  weftNative,
  weftNativeUserspace,
  weftNativeSealed,
];

/** Settings and designs beside the ones shipped, measured only when named. */
export const VARIANTS: readonly Contender[] = [
  weftNativeTwoThreads,
  weftNativeTap,
  weftNativeDefault,
  weftNativeTrusted,
];
