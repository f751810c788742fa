import { nativeAvailability } from '../../src/dataplane/native/availability.ts';
import {
  SEALED_MTU,
  startDirectPair,
  startSealedPair,
  type SealedPair,
} from '../lib/sealed-host.ts';
import type { Topology } from '../lib/topology.ts';
import { ContenderUnavailable, type Contender, type Running } from './contender.ts';
import { weftUp } from './weft.ts';

/** Runs a pair of bare data planes, if this machine can. */
async function run(
  topology: Topology,
  start: (topology: Topology) => Promise<SealedPair>,
): Promise<Running> {
  const { available, reason } = nativeAvailability();
  if (!available) throw new ContenderUnavailable(reason);
  const { ends, hosts } = await start(topology);
  return {
    ends,
    daemonPids: hosts.map(({ pid }) => pid),
    async down() {
      await Promise.all(hosts.map((host) => host.stop()));
    },
  };
}

/** The native data plane with every frame sealed. */
export const weftNativeSealed: Contender = {
  name: 'weft-native-sealed',
  describe: `Weft, native data plane, frames sealed with AES-256-GCM, MTU ${SEALED_MTU}; fixed keys, no daemon`,
  up: (topology) => run(topology, startSealedPair),
};

/** What a TAP device as the container's own interface would give (docs/adr/0025). */
export const weftNativeTap: Contender = {
  name: 'weft-native-tap',
  describe:
    "Weft, native data plane in user space; its TAP device is the container's interface; no daemon",
  up: (topology) => run(topology, startDirectPair),
};

/** What a person has who asks for nothing. */
export const weftNativeDefault: Contender = {
  name: 'weft-native-default',
  describe: 'Weft, native data plane, two daemons, a network as it is made by default: sealed',
  up: (topology) => weftUp(topology, 'native', { encap: 'sealed' }),
};

/** What trust in the underlay gives (docs/adr/0059). */
export const weftNativeTrusted: Contender = {
  name: 'weft-native-trusted',
  describe: 'the same, with --trusted-subnet on both hosts: frames in the clear',
  up: (topology) => weftUp(topology, 'native', { encap: 'sealed', trustedSubnet: '192.0.2.0/24' }),
};
