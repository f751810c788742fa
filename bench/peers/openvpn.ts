import { join } from 'node:path';
import type { Contender } from '../contenders/contender.ts';
import { run } from '../lib/process.ts';
import { startSides, untilDevice, type Side } from './tunnel.ts';

const PORT = 1194;
const DEVICE = 'tap0';
const CIPHER = 'AES-256-GCM';
const MTU = 1400;

interface Certificate {
  readonly key: string;
  readonly certificate: string;
  readonly fingerprint: string;
}

async function selfSigned(directory: string, name: string): Promise<Certificate> {
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-keyout', key, '-out', certificate, '-subj', `/CN=${name}`, '-days', '2'],
  ]);
  const said = await run('openssl', [
    'x509',
    '-in',
    certificate,
    '-noout',
    '-sha256',
    '-fingerprint',
  ]);
  return { key, certificate, fingerprint: said.trim().split('=')[1] ?? '' };
}

function openvpnArguments(side: Side, own: Certificate, theirs: Certificate): string[] {
  const role = side.number === 1 ? ['--tls-server', '--dh', 'none'] : ['--tls-client'];
  return [
    ...['--dev', DEVICE, '--dev-type', 'tap', '--proto', 'udp', '--port', String(PORT)],
    ...['--local', side.host.address, '--remote', side.remote.address, ...role],
    ...['--key', own.key, '--cert', own.certificate, '--peer-fingerprint', theirs.fingerprint],
    ...['--data-ciphers', CIPHER, '--tun-mtu', String(MTU), '--verb', '1'],
  ];
}

/** OpenVPN between two hosts, keys agreed by TLS, both certificates pinned. Layer 2. */
export const openvpn: Contender = {
  name: 'openvpn',
  describe: `OpenVPN from Debian, ${CIPHER}, MTU ${MTU}`,
  packages: ['openvpn', 'openssl'],
  async up(topology) {
    const ends = await topology.bridgedContainers(MTU);
    let certificates: readonly [Certificate, Certificate] | undefined;
    return startSides(topology, ends, async (side, directory) => {
      const { namespace } = side.host;
      certificates ??= [await selfSigned(directory, 'a'), await selfSigned(directory, 'b')];
      const [a, b] = certificates;
      const [own, theirs] = side.name === 'a' ? [a, b] : [b, a];
      const program = namespace.start('openvpn', openvpnArguments(side, own, theirs));
      await untilDevice(namespace, DEVICE, program);
      await namespace.ip(`link set ${DEVICE} master br0 up`);
      return [program];
    });
  },
};
