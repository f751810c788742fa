import test from 'ava';
import { asVni } from '../../src/base/types.ts';
import { checkEndpointRoutes, hasRoute, routeCommands } from '../../src/network/endpoint-routes.ts';
import type { NetworkDefinition } from '../../src/network/network.ts';
import { endpointIn, HOST } from './fixture.ts';

const WIRE: NetworkDefinition = {
  ...{ id: 'a'.repeat(32), name: 'blue', vni: asVni(42), subnet: '10.7.0.0/24', mtu: 1450 },
  ...{ encap: 'vxlan', createdBy: HOST, createdAt: '2026-11-24T00:00:00Z' },
  addressing: { founders: [HOST], leaseSeconds: 30, gateway: '10.7.0.1' },
};
const ROUTED: NetworkDefinition = { ...WIRE, edge: 'routed' };
const INTERNAL: NetworkDefinition = { ...WIRE, edge: 'internal' };
const ENDPOINT = endpointIn({ path: '/run/netns/x', inode: '4:1' }, 2);

test('routes are kept in canonical text, each destination once', (t) => {
  const wanted = [
    { destination: '0.0.0.0/0' },
    { destination: '10.96.0.0/12', via: '10.7.0.9' },
    { destination: '0.0.0.0/0' },
  ];
  t.deepEqual(checkEndpointRoutes(ROUTED, wanted), wanted.slice(0, 2));
  t.deepEqual(checkEndpointRoutes(INTERNAL, [{ destination: '0.0.0.0/0', via: '10.7.0.9' }]), [
    { destination: '0.0.0.0/0', via: '10.7.0.9' },
  ]);
});

for (const [what, network, route, sentence] of [
  ['no CIDR', ROUTED, { destination: 'default' }, /"default" is no destination/],
  ['host bits', ROUTED, { destination: '10.96.0.1/12' }, /probably mean 10\.96\.0\.0\/12/],
  ['a gateway outside', ROUTED, { destination: '0.0.0.0/0', via: '10.8.0.1' }, /10\.7\.0\.0\/24/],
  ['a gateway that is none', ROUTED, { destination: '0.0.0.0/0', via: 'x' }, /"x"/],
  ['another family', ROUTED, { destination: '::/0', via: '10.7.0.9' }, /"10\.7\.0\.9"/],
  ['no IPv6 gateway', ROUTED, { destination: '::/0' }, /has no IPv6 gateway/],
  ['an internal network', INTERNAL, { destination: '0.0.0.0/0' }, /is internal/],
  ['a plain wire', WIRE, { destination: '0.0.0.0/0' }, /has no IPv4 gateway on the hosts/],
] as const) {
  test(`refused: a route with, or in, ${what}`, (t) => {
    const error = t.throws(() => checkEndpointRoutes(network, [route]), {
      code: 'E_ROUTE_INVALID',
    });
    t.regex(error.message, sentence);
  });
}

test('more than 64 are refused', (t) => {
  const wanted = Array.from({ length: 65 }, (_, at) => ({ destination: `10.${at}.0.0/16` }));
  t.throws(() => checkEndpointRoutes(ROUTED, wanted), { message: /^65 routes are too many/ });
});

test('an endpoint has its own routes, else the default one, else none', (t) => {
  const gateways = ['10.7.0.1', 'fd00:7::1'];
  const common = { kind: 'setRoute', name: 'eth0', metric: 1024 } as const;
  t.deepEqual(routeCommands(ENDPOINT, gateways), []);
  const metric = { ...ENDPOINT, routeMetric: 1024 };
  t.deepEqual(routeCommands(metric, gateways), [
    { ...common, destination: 'default', via: '10.7.0.1' },
  ]);
  const routes = [
    { destination: '10.96.0.0/12' },
    { destination: '192.0.2.0/24', via: '10.7.0.9' },
    // As after a move to another subnet.
    { destination: '198.51.100.0/24', via: '10.8.0.9' },
  ];
  t.deepEqual(routeCommands({ ...metric, routes }, gateways), [
    { ...common, destination: '10.96.0.0/12', via: '10.7.0.1' },
    { ...common, destination: '192.0.2.0/24', via: '10.7.0.9' },
  ]);
});

test('routes are found again as ip(8) writes them', (t) => {
  for (const [destination, shown] of [
    ['0.0.0.0/0', 'default'],
    ['192.0.2.7/32', '192.0.2.7'],
    ['10.96.0.0/12', '10.96.0.0/12'],
  ] as const) {
    const route = {
      kind: 'setRoute',
      ...{ name: 'eth0', metric: 1024, destination, via: '10.7.0.1' },
    } as const;
    const found = { destination: shown, gateway: '10.7.0.1', device: 'eth0' };
    t.true(hasRoute([found], route), destination);
    t.false(hasRoute([{ ...found, device: 'eth1' }], route), destination);
  }
});
