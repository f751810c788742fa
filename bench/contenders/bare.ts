import { kernelOnly, type Contender } from './contender.ts';

/** The ceiling: what two programs on the hosts themselves reach over the underlay. */
export const bare: Contender = {
  name: 'bare',
  describe: 'host to host over the underlay veth, MTU 1500: no container, no overlay',
  up: (topology) => Promise.resolve(kernelOnly(topology.hostEnds())),
};
