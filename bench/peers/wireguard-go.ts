import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { run } from '../lib/process.ts';
import { startSides, untilDevice, type Side } from './tunnel.ts';

const PORT = 51820;
/** WireGuard's own default on an Ethernet underlay. */
const MTU = 1420;

interface KeyPair {
  readonly secret: string;
  readonly open: string;
}

async function generateKeys(): Promise<KeyPair> {
  const secret = await run('wg', ['genkey']);
  return { secret, open: (await run('wg', ['pubkey'], { input: secret })).trim() };
}

/** Its control socket is /run/wireguard/DEVICE.sock in every namespace: the name must be the machine's only one. */
function deviceOf({ name }: Side): string {
  return `wg${name}${process.pid}`;
}

/** WireGuard in user space. Layer 3: the containers lie behind routes, not on one Ethernet. */
export const wireguardGo: Contender = {
  name: 'wireguard-go',
  describe: `wireguard-go from Debian, ChaCha20-Poly1305, layer 3, MTU ${MTU}`,
  packages: ['wireguard-go', 'wireguard-tools'],
  async up(topology) {
    const ends = await topology.routedContainers(MTU);
    const [keysA, keysB] = [await generateKeys(), await generateKeys()];
    return startSides(topology, ends, async (side, directory) => {
      const { namespace } = side.host;
      const [own, remote] = side.name === 'a' ? [keysA, keysB] : [keysB, keysA];
      const keyFile = join(directory, `${side.name}.key`);
      writeFileSync(keyFile, own.secret);
      chmodSync(keyFile, 0o600);
      const device = deviceOf(side);
      const subnet = `10.77.${3 - side.number}.0/24`;

      const program = namespace.start('wireguard-go', ['-f', device]);
      await untilDevice(namespace, device, program);
      await namespace.run('wg', [
        ...['set', device, 'listen-port', String(PORT), 'private-key', keyFile],
        ...['peer', remote.open, 'allowed-ips', subnet],
        ...['endpoint', `${side.remote.address}:${PORT}`],
      ]);
      await namespace.ip(`link set ${device} mtu ${MTU} up`);
      await namespace.ip(`route add ${subnet} dev ${device}`);
      return [program];
    });
  },
};
