import type { Contender } from './contender.ts';
import { weftUp } from './weft.ts';

/** Weft's forwarder alone, as every frame travels that the fast path can't carry. */
export const weftNativeUserspace: Contender = {
  name: 'weft-native-userspace',
  describe: 'Weft, native data plane with --fast-path off: every frame through the C++ thread',
  up: (topology) => weftUp(topology, 'native', 'off'),
};
