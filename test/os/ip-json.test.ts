import test from 'ava';
import { readLinks, readNeighbours, readRoutes } from '../../src/os/ip-json.ts';

// As iproute2 6.1.0 prints them; keys that nobody reads are left out.

test('a bridge, a port of it and a loopback', (t) => {
  const links = readLinks([
    { ifindex: 1, ifname: 'lo', flags: ['LOOPBACK'], mtu: 65536, link_type: 'loopback' },
    {
      ...{ ifindex: 2, ifname: 'weft-1', flags: ['BROADCAST', 'UP'], mtu: 1450 },
      ...{ link_type: 'ether', address: '02:00:00:00:00:01', ifalias: 'weft:h:blue' },
      linkinfo: { info_kind: 'bridge', info_data: { stp_state: 0, mcast_snooping: 1 } },
      addr_info: [{ family: 'inet', local: '10.7.0.1', prefixlen: 24, scope: 'global' }],
    },
    {
      ...{ ifindex: 3, ifname: 'wv1', link_index: 2, flags: ['UP'], mtu: 1450, master: 'weft-1' },
      ...{ link_type: 'ether', address: '86:1a:e5:a5:0d:40', linkinfo: { info_kind: 'veth' } },
      addr_info: [],
    },
    {},
  ]);
  t.deepEqual(links, [
    {
      ...{ index: 1, name: 'lo', kind: 'loopback', mac: '', mtu: 65536, isUp: false },
      addresses: [],
    },
    {
      ...{ index: 2, name: 'weft-1', kind: 'bridge', mac: '02:00:00:00:00:01', mtu: 1450 },
      ...{ isUp: true, alias: 'weft:h:blue', bridge: { stp: false, multicastSnooping: true } },
      addresses: [{ address: '10.7.0.1', prefixLength: 24, scope: 'global' }],
    },
    {
      ...{ index: 3, name: 'wv1', kind: 'veth', mac: '86:1a:e5:a5:0d:40', mtu: 1450 },
      ...{ isUp: true, master: 'weft-1', peerIndex: 2, addresses: [] },
    },
  ]);
});

test('routes', (t) => {
  t.deepEqual(
    readRoutes([
      { dst: 'default', gateway: '192.0.2.1', dev: 'eth0', flags: [] },
      { dst: '10.1.2.3', dev: 'eth0', prefsrc: '192.0.2.2', metrics: [{ mtu: 1400 }] },
      { type: 'blackhole', dst: '10.9.0.0/16', flags: [] },
    ]),
    [
      { destination: 'default', device: 'eth0', gateway: '192.0.2.1' },
      { destination: '10.1.2.3', device: 'eth0', source: '192.0.2.2', mtu: 1400 },
      { destination: '10.9.0.0/16' },
    ],
  );
});

test('neighbours', (t) => {
  t.deepEqual(
    readNeighbours([
      { dst: '192.0.2.1', dev: 'eth0', lladdr: '02:fc:00:00:00:05', state: ['STALE'] },
      { dst: 'fd00::1', dev: 'eth0', state: ['FAILED'] },
    ]),
    [
      { address: '192.0.2.1', device: 'eth0', mac: '02:fc:00:00:00:05', state: ['STALE'] },
      { address: 'fd00::1', device: 'eth0', state: ['FAILED'] },
    ],
  );
});
