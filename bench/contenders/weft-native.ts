import type { Contender } from './contender.ts';
import { weftUp } from './weft.ts';

/** Weft with the data plane written in C++. */
export const weftNative: Contender = {
  name: 'weft-native',
  describe: 'Weft, native data plane (C++ thread, 64 KiB a system call), plain VXLAN',
  up: (topology) => weftUp(topology, 'native'),
};
