import test from 'ava';
import { asPeerId, asVni } from '../../src/base/types.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { poolOfFamily, poolsOf, subnetsOf, uniqueLocalSubnet } from '../../src/network/subnets.ts';

const [A, B] = [asPeerId('a'.repeat(32)), asPeerId('b'.repeat(32))];
const ONE: NetworkDefinition = {
  ...{ id: '1'.repeat(32), name: 'blue', vni: asVni(42), subnet: '10.7.0.0/24', mtu: 1450 },
  ...{ encap: 'vxlan', createdBy: A, createdAt: '2026-01-01T00:00:00Z' },
};
const TWO: NetworkDefinition = {
  ...{ ...ONE, subnet6: 'fd00:7::/64' },
  addressing: {
    ...{ founders: [A, B], leaseSeconds: 60, reserved: ['10.7.0.9', 'fd00:7::9'] },
    ...{ range: '10.7.0.0/25', gateway: '10.7.0.1' },
    ...{ range6: 'fd00:7::/80', gateway6: 'fd00:7::1' },
  },
};

test('a network with one subnet is its own pool', (t) => {
  const [pool, ...others] = poolsOf(ONE);
  t.is(others.length, 0);
  t.like(pool, { id: ONE.id, name: 'blue', subnet: '10.7.0.0/24', createdBy: A });
  t.is(poolOfFamily(ONE, 6), undefined);
});

test('the second pool has an id, a range and a gateway of its own, and the same founders', (t) => {
  const [pool, second] = poolsOf(TWO);
  t.is(pool.id, TWO.id);
  t.is(pool.addressing?.range, '10.7.0.0/25');
  t.regex(second?.id ?? '', /^[0-9a-f]{32}$/);
  t.not(second?.id, TWO.id);
  t.like(second, { name: 'blue', subnet: 'fd00:7::/64', createdBy: A });
  t.deepEqual(second?.addressing, {
    ...{ founders: [A, B], leaseSeconds: 60, range: 'fd00:7::/80', gateway: 'fd00:7::1' },
    reserved: ['10.7.0.9', 'fd00:7::9'],
  });
  t.deepEqual(subnetsOf(TWO), ['10.7.0.0/24', 'fd00:7::/64']);
  t.is(poolOfFamily(TWO, 6)?.id, second?.id);
});

test('a prefix that nobody named is a unique local one, the same on every host', (t) => {
  const prefix = uniqueLocalSubnet([A, B], asVni(0x12_00_2a));
  t.regex(prefix, /^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:2a::\/64$/);
  t.is(uniqueLocalSubnet([B, A], asVni(0x12_00_2a)), prefix);
  t.not(uniqueLocalSubnet([A], asVni(0x12_00_2a)), prefix);
  t.not(uniqueLocalSubnet([A, B], asVni(0x13_00_2a)), prefix);
  t.is(uniqueLocalSubnet([A], asVni(1)), 'fdc5:5e7d:45c0:1::/64', 'and in every version');
});
