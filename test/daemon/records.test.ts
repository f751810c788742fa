import test from 'ava';
import fc from 'fast-check';
import {
  parseEndpointRecord,
  parseMemberMeta,
  parseNetworkRecord,
  parseVtepRecord,
} from '../../src/daemon/records.ts';
import { decodeCbor } from '../../src/gossip/cbor.ts';
import { check } from '../fakes/property.ts';

const ID = '0123456789abcdef'.repeat(2);

/** A right value of each table beside its parser. */
const RECORDS: readonly (readonly [string, (value: unknown) => object | undefined, object])[] = [
  [
    'a network',
    parseNetworkRecord,
    {
      ...{ name: 'blue', vni: 42, subnet: '10.7.0.0/24', mtu: 1450, encap: 'vxlan' },
      ...{ createdBy: ID, createdAt: '2026-01-01T00:00:00.000Z' },
    },
  ],
  [
    'an endpoint',
    parseEndpointRecord,
    {
      ...{ network: 'blue', host: ID, mac: 0x02_00_5e_10_00_01, address: '10.7.0.2' },
      ...{ ifname: 'eth0', sandbox: { path: '/run/netns/web', inode: '4026532008' } },
    },
  ],
  [
    'an endpoint with names',
    parseEndpointRecord,
    {
      ...{ network: 'blue', host: ID, mac: 0x02_00_5e_10_00_01, address: '10.7.0.2' },
      ...{ ifname: 'eth0', sandbox: { path: '/run/netns/web', inode: '4026532008' } },
      names: ['web', 'my_app-1.shop'],
    },
  ],
  [
    'a network with two subnets',
    parseNetworkRecord,
    {
      ...{ name: 'blue', vni: 42, subnet: '10.7.0.0/24', mtu: 1450, encap: 'vxlan' },
      ...{ createdBy: ID, createdAt: '2026-01-01T00:00:00.000Z', subnet6: 'fd00:7::/64' },
      addressing: {
        ...{ founders: [ID], leaseSeconds: 300, range6: 'fd00:7::/72', gateway6: 'fd00:7::1' },
      },
    },
  ],
  [
    'an endpoint with two addresses',
    parseEndpointRecord,
    {
      ...{ network: 'blue', host: ID, mac: 0x02_00_5e_10_00_01, address: '10.7.0.2/24' },
      ...{ ifname: 'eth0', sandbox: { path: '/run/netns/web', inode: '4026532008' } },
      ...{ epoch: 1, address6: 'fd00:7::2/64', epoch6: 2 },
    },
  ],
  ['a VTEP', parseVtepRecord, { network: 'blue', address: '192.0.2.9', port: 4789 }],
  [
    "a host's meta data",
    parseMemberMeta,
    { version: '0.1.0', vxlanPort: 4789, partialChecksums: true, dualStack: true },
  ],
];

for (const [what, parse, right] of RECORDS) {
  test(`${what}: a newer version's keys are left out, a missing or wrong one is refused`, (t) => {
    t.deepEqual(parse(right), right);
    t.deepEqual(parse({ ...right, addedLater: 1 }), right);
    for (const key of Object.keys(right)) {
      for (const wrong of [null, {}, 1e30, 'x'.repeat(5000)]) {
        t.is(parse({ ...right, [key]: wrong }), undefined, key);
      }
    }
  });

  test(`${what}: any value, and any bytes as CBOR, are a row or nothing`, (t) => {
    const keys = Object.keys(right);
    const almost = fc
      .dictionary(fc.constantFrom(...keys), fc.anything())
      .map((change) => ({ ...right, ...change }));
    const fromBytes = fc.uint8Array({ maxLength: 100 }).map((bytes) => decodeCbor(bytes)?.value);
    const property = fc.property(fc.oneof(almost, fc.anything(), fromBytes), (value) => {
      const row = parse(value);
      return row === undefined || Object.keys(row).every((key) => keys.includes(key));
    });
    t.notThrows(() => check(property, 2000));
  });
}

test('what stands beside something of IPv4 is IPv6', (t) => {
  const [, , network] = RECORDS[3] ?? [];
  const [, , endpoint] = RECORDS[4] ?? [];
  t.truthy(parseNetworkRecord(network));
  t.is(parseNetworkRecord({ ...network, subnet6: '10.8.0.0/24' }), undefined);
  t.truthy(parseEndpointRecord(endpoint));
  t.is(parseEndpointRecord({ ...endpoint, address6: '10.7.0.3/24' }), undefined);
});

test('names that DNS can not have, or too many, make no endpoint', (t) => {
  const [, parse, right] = RECORDS[2] ?? [];
  for (const names of [['WEB'], [''], ['a..b'], ['-a'], ['a.'], ['é'], Array(17).fill('a')]) {
    t.is(parse?.({ ...right, names }), undefined, String(names));
  }
});
