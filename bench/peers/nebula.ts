import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { run } from '../lib/process.ts';
import { startSides, untilDevice, type Side } from './tunnel.ts';

const PORT = 4242;
const DEVICE = 'nebula0';
/** 1500 less IPv4, UDP, Nebula's header and tag. */
const MTU = 1440;

/** JSON is YAML. */
function configuration(side: Side, directory: string): object {
  const file = (name: string): string => join(directory, name);
  const other = 3 - side.number;
  return {
    pki: { ca: file('ca.crt'), cert: file(`${side.name}.crt`), key: file(`${side.name}.key`) },
    static_host_map: { [`10.78.0.${other}`]: [`${side.remote.address}:${PORT}`] },
    lighthouse: { am_lighthouse: false },
    listen: { host: side.host.address, port: PORT },
    tun: {
      dev: DEVICE,
      mtu: MTU,
      unsafe_routes: [{ route: `10.77.${other}.0/24`, via: `10.78.0.${other}`, mtu: MTU }],
    },
    firewall: {
      outbound: [{ port: 'any', proto: 'any', host: 'any' }],
      inbound: [{ port: 'any', proto: 'any', host: 'any' }],
    },
  };
}

async function signCertificate(side: Side, directory: string): Promise<void> {
  const file = (name: string): string => join(directory, name);
  if (side.number === 1) {
    const ca = ['-out-crt', file('ca.crt'), '-out-key', file('ca.key')];
    await run('nebula-cert', ['ca', '-name', 'weft bench', ...ca]);
  }
  await run('nebula-cert', [
    ...['sign', '-ca-crt', file('ca.crt'), '-ca-key', file('ca.key'), '-name', side.name],
    ...['-ip', `10.78.0.${side.number}/24`, '-subnets', `10.77.${side.number}.0/24`],
    ...['-out-crt', file(`${side.name}.crt`), '-out-key', file(`${side.name}.key`)],
  ]);
}

/** Nebula. Layer 3: the containers lie behind its "unsafe routes", not on one Ethernet. */
export const nebula: Contender = {
  name: 'nebula',
  describe: `Nebula from Debian, AES-256-GCM, layer 3, MTU ${MTU}`,
  packages: ['nebula'],
  async up(topology) {
    const ends = await topology.routedContainers(MTU);
    return startSides(topology, ends, async (side, directory) => {
      await signCertificate(side, directory);
      const file = join(directory, `${side.name}.yml`);
      writeFileSync(file, JSON.stringify(configuration(side, directory)));
      const program = side.host.namespace.start('nebula', ['-config', file]);
      await untilDevice(side.host.namespace, DEVICE, program);
      return [program];
    });
  },
};
