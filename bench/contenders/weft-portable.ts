import type { Contender } from './contender.ts';
import { weftUp } from './weft.ts';

/** Weft with the data plane written in TypeScript. */
export const weftPortable: Contender = {
  name: 'weft-portable',
  describe: 'Weft, portable data plane (TypeScript, a system call a frame), plain VXLAN',
  up: (topology) => weftUp(topology, 'portable'),
};
