import test from 'ava';
import { asPeerId, asVni } from '../../src/base/types.ts';
import { bridgeAddresses, defaultGateways, gatewayOf } from '../../src/network/gateway.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';

const BLUE: NetworkDefinition = {
  ...{ id: '1'.repeat(32), name: 'blue', vni: asVni(42), subnet: '10.7.0.0/24', mtu: 1450 },
  ...{ encap: 'vxlan', createdBy: asPeerId('a'), createdAt: '', subnet6: 'fd00:7::/64' },
  addressing: { founders: [], leaseSeconds: 60, gateway: '10.7.0.1', gateway6: 'fd00:7::1' },
};

test('of two subnets the bridge has a gateway each, and a link-local address', (t) => {
  const spec = gatewayOf({ ...BLUE, edge: 'routed' });
  t.deepEqual(spec?.addresses, ['10.7.0.1/24', 'fd00:7::1/64']);
  t.deepEqual(spec && bridgeAddresses(BLUE.vni, spec), [
    ...['10.7.0.1/24', 'fd00:7::1/64', 'fe80::57:45ff:fe00:2a/64'],
  ]);
  t.deepEqual(defaultGateways(spec), ['10.7.0.1', 'fd00:7::1']);
});

test('an internal network has gateways that lead nowhere, a plain wire has none', (t) => {
  t.deepEqual(defaultGateways(gatewayOf({ ...BLUE, edge: 'internal' })), []);
  t.is(gatewayOf(BLUE), undefined);
});
