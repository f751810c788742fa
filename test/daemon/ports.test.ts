import test from 'ava';
import { asVni } from '../../src/base/types.ts';
import { choosePorts, remainingPorts, type PortsAsked } from '../../src/daemon/ports.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { endpointIn, HOST } from '../network/fixture.ts';

const NETWORK: NetworkDefinition = {
  ...{ id: 'a'.repeat(32), name: 'blue', vni: asVni(42), subnet: '10.7.0.0/24', mtu: 1450 },
  ...{ encap: 'vxlan', createdBy: HOST, createdAt: '2026-11-24T00:00:00Z', edge: 'routed' },
};
const BOX = { path: '/run/netns/x', inode: '4:1' };
const OTHER = {
  ...endpointIn(BOX, 2),
  ports: [{ protocol: 'tcp', hostAddress: '192.0.2.1', hostPort: 80, port: 80 }] as const,
};

function ask(wanted: PortsAsked['wanted'], more: Partial<PortsAsked> = {}) {
  let next = 32_768;
  return choosePorts({
    ...{ network: NETWORK, endpoint: { id: 'me' }, own: [OTHER], wanted },
    probe: ({ port }) => Promise.resolve(port === 0 ? next++ : port),
    ...more,
  });
}

test('what is asked for is published; every address by whatever word', async (t) => {
  const wanted = [
    { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 81, port: 80 },
    { protocol: 'udp', hostAddress: '2001:DB8::1', hostPort: 80, port: 53 },
  ] as const;
  t.deepEqual(await ask(wanted, { network: { ...NETWORK, subnet6: 'fd00:7::/64' } }), [
    { protocol: 'tcp', hostPort: 81, port: 80 },
    { protocol: 'udp', hostAddress: '2001:db8::1', hostPort: 80, port: 53 },
  ]);
});

test('a port at an address of a family that the network has not is refused', async (t) => {
  for (const [network, hostAddress, subnet] of [
    [NETWORK, 'fd00::1', '10.7.0.0/24'],
    [{ ...NETWORK, subnet: 'fd00:7::/64' }, '192.0.2.9', 'fd00:7::/64'],
  ] as const) {
    await t.throwsAsync(
      ask([{ protocol: 'tcp', hostAddress, hostPort: 81, port: 80 }], { network }),
      {
        code: 'E_PORT_INVALID',
        message: `A port is to be published at ${hostAddress}, and network blue has only ${subnet}; give an address of that family, or none for all.`,
      },
    );
  }
});

test('a port that another endpoint has is refused, at the same address or at all of them', async (t) => {
  for (const hostAddress of ['192.0.2.1', '::']) {
    const error = await t.throwsAsync(
      ask([{ protocol: 'tcp', hostAddress, hostPort: 80, port: 80 }]),
      { code: 'E_PORT_TAKEN' },
    );
    t.true(error.message.includes(OTHER.id), error.message);
  }
  await t.notThrowsAsync(
    ask([{ protocol: 'tcp', hostAddress: '192.0.2.2', hostPort: 80, port: 80 }]),
  );
});

test('a port that a program has, and an address that the host has not, are refused', async (t) => {
  const wanted = [{ protocol: 'tcp', hostPort: 81, port: 80 }] as const;
  const taken = { probe: () => Promise.resolve('taken' as const) };
  await t.throwsAsync(ask(wanted, taken), { message: /Port 81\/tcp is used by a program/ });
  const foreign = { probe: () => Promise.resolve('foreign' as const) };
  await t.throwsAsync(ask(wanted, foreign), { code: 'E_PORT_INVALID' });
});

test('for port 0 a free one is found that nobody has published', async (t) => {
  const ports = [{ protocol: 'tcp', hostPort: 32_768, port: 1 }] as const;
  const own = [{ ...OTHER, ports }];
  const found = await ask([{ protocol: 'tcp', hostPort: 0, port: 80 }], { own });
  t.is(found[0]?.hostPort, 32_769);
});

test('the same again changes nothing; nothing leads into a network without a way in', async (t) => {
  const port = { protocol: 'tcp', hostPort: 81, port: 80 } as const;
  const endpoint = { id: 'me', ports: [port] };
  t.deepEqual(await ask([port], { endpoint }), [port]);
  const wire: NetworkDefinition = { ...NETWORK };
  Reflect.deleteProperty(wire, 'edge');
  for (const network of [wire, { ...NETWORK, edge: 'internal' as const }]) {
    await t.throwsAsync(ask([port], { network }), { code: 'E_GATEWAY_MISSING' });
  }
});

test('what is taken back is gone, the rest stays', (t) => {
  const ports = [
    { protocol: 'tcp', hostPort: 81, port: 80 },
    { protocol: 'udp', hostPort: 81, port: 80 },
  ] as const;
  t.deepEqual(remainingPorts(ports, [{ ...ports[0], hostAddress: '0.0.0.0' }]), [ports[1]]);
  t.deepEqual(remainingPorts(ports, undefined), []);
});
