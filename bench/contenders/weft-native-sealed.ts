import { nativeAvailability } from '../../src/dataplane/native/availability.ts';
import { SEALED_MTU, startSealedPair } from '../lib/sealed-host.ts';
import { ContenderUnavailable, type Contender } from './contender.ts';

/** The native data plane with every frame sealed. */
export const weftNativeSealed: Contender = {
  name: 'weft-native-sealed',
  describe: `Weft, native data plane, frames sealed with AES-256-GCM, MTU ${SEALED_MTU}; fixed keys, no daemon`,
  async up(topology) {
    const { available, reason } = nativeAvailability();
    if (!available) throw new ContenderUnavailable(reason);
    const { ends, hosts } = await startSealedPair(topology);
    return {
      ends,
      daemonPids: hosts.map(({ pid }) => pid),
      async down() {
        await Promise.all(hosts.map((host) => host.stop()));
      },
    };
  },
};
