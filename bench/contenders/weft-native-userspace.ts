import type { Contender } from './contender.ts';
import { weftUp } from './weft.ts';

/** Weft's forwarder alone, as every frame travels that the fast path can't carry. */
export const weftNativeUserspace: Contender = {
  name: 'weft-native-userspace',
  describe: 'Weft, native data plane with --fast-path off: every frame through the C++ thread',
  up: (topology) => weftUp(topology, 'native', { fastPath: 'off' }),
};

/** What a second forwarder thread gives or costs. */
export const weftNativeTwoThreads: Contender = {
  name: 'weft-native-2-threads',
  describe: 'the same with --threads 2',
  up: (topology) => weftUp(topology, 'native', { fastPath: 'off', threads: 2 }),
};
