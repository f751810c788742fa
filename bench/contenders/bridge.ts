import { kernelOnly, type Contender } from './contender.ts';

/** What a container's veth and a bridge cost by themselves: the underlay is put into the bridge. */
export const bridge: Contender = {
  name: 'bridge',
  describe: 'containers on bridges joined by the underlay itself: no encapsulation',
  async up(topology) {
    const ends = await topology.bridgedContainers();
    for (const { namespace, ifname } of topology.hosts) {
      await namespace.ip(`link set ${ifname} master br0`);
    }
    return kernelOnly(ends);
  },
};
