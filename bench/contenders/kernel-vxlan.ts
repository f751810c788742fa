import { BASE_CONTENDER } from '../lib/result.ts';
import { kernelOnly, type Contender } from './contender.ts';

const VNI = 77;

/** The kernel's own VXLAN device with a static flood list: the figure all others are held against. */
export const kernelVxlan: Contender = {
  name: BASE_CONTENDER,
  describe: "the kernel's VXLAN device in the bridge, learning, static flood list",
  async up(topology) {
    const ends = await topology.bridgedContainers();
    const [a, b] = topology.hosts;
    for (const [{ namespace, address, ifname }, remote] of [
      [a, b.address],
      [b, a.address],
    ] as const) {
      await namespace.ip(
        `link add vx0 mtu ${ends.mtu} type vxlan id ${VNI} dstport 4789 local ${address} dev ${ifname}`,
      );
      await namespace.ip('link set vx0 master br0 up');
      await namespace.run('bridge', [
        ...['fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', remote],
      ]);
    }
    return kernelOnly(ends);
  },
};
