import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { run } from '../lib/process.ts';
import { startSides, untilDevice, type Side } from './tunnel.ts';

const PORT = 10000;
const DEVICE = 'fastd0';
const METHOD = 'salsa2012+umac';
/** fastd's own example for an Ethernet underlay. */
const MTU = 1426;

interface KeyPair {
  readonly secret: string;
  readonly open: string;
}

async function generateKeys(): Promise<KeyPair> {
  const said = await run('fastd', ['--generate-key']);
  const keyNamed = (name: string): string =>
    new RegExp(`^${name}: ([0-9a-f]{64})$`, 'm').exec(said)?.[1] ?? '';
  return { secret: keyNamed('Secret'), open: keyNamed('Public') };
}

function configuration({ host, remote }: Side, own: KeyPair, theirs: KeyPair): string {
  return `
bind ${host.address}:${PORT};
method "${METHOD}";
mode tap;
interface "${DEVICE}";
mtu ${MTU};
secret "${own.secret}";
peer "other" { key "${theirs.open}"; remote ${remote.address}:${PORT}; }
`;
}

/** fastd, the Freifunk community's tunnel. Layer 2. */
export const fastd: Contender = {
  name: 'fastd',
  describe: `fastd from Debian, ${METHOD}, MTU ${MTU}`,
  packages: ['fastd'],
  async up(topology) {
    const ends = await topology.bridgedContainers(MTU);
    const [keysA, keysB] = [await generateKeys(), await generateKeys()];
    return startSides(topology, ends, async (side, directory) => {
      const { namespace } = side.host;
      const [own, theirs] = side.name === 'a' ? [keysA, keysB] : [keysB, keysA];
      const file = join(directory, `${side.name}.conf`);
      writeFileSync(file, configuration(side, own, theirs), { mode: 0o600 });
      const program = namespace.start('fastd', ['--config', file]);
      await untilDevice(namespace, DEVICE, program);
      await namespace.ip(`link set ${DEVICE} master br0 up`);
      return [program];
    });
  },
};
