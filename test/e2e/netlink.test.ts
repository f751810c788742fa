import test from 'ava';
import { Lab } from '../../bench/lib/lab.ts';
import { systemExec } from '../../src/os/exec.ts';
import { IpTool } from '../../src/os/ip.ts';
import type { Link } from '../../src/os/ip-json.ts';
import { loadPerform } from '../../src/os/netlink/addon.ts';
import { NetlinkIp, netlinkWriter } from '../../src/os/netlink/netlink-ip.ts';

const tool = new IpTool(systemExec);
const perform = loadPerform();
const netlink = new NetlinkIp(perform, tool);

const byIndex = (links: readonly Link[]): readonly Link[] =>
  [...links].sort((a, b) => a.index - b.index);

test('what netlink makes, ip(8) reads, and both read alike', async (t) => {
  const lab = new Lab('nl');
  t.teardown(() => lab.destroy());
  const [host, box] = [await lab.namespace('host'), await lab.namespace('box')];
  const at = host.path;
  const mac = '02:00:5e:10:00:01';
  await netlink.apply(
    [
      { kind: 'addBridge', name: 'weft-1', mac: '02:00:5e:10:00:09' },
      {
        ...{ kind: 'addVeth', name: 'wv1', mtu: 1400 },
        peer: { name: 'eth0', namespace: box.path, mac, mtu: 1400 },
      },
      // With both ends here, as a host's own interface on a network has them.
      {
        ...{ kind: 'addVeth', name: 'wv2', mtu: 1400 },
        peer: { name: 'weft-h1', mac: '02:00:5e:10:00:02', mtu: 1400 },
      },
      { kind: 'setLink', name: 'wv1', master: 'weft-1', alias: 'weft:a:b', up: true },
      { kind: 'setLink', name: 'weft-1', mtu: 1400, up: true },
      { kind: 'addAddress', name: 'weft-1', address: '10.7.0.1/24' },
      { kind: 'addAddress', name: 'weft-1', address: 'fd00:7::1/64' },
    ],
    at,
  );
  await netlink.apply(
    [
      { kind: 'setLink', name: 'eth0', up: true },
      { kind: 'addAddress', name: 'eth0', address: '10.7.0.2/24' },
    ],
    box.path,
  );
  const told = await tool.links(at);
  const bridge = told.find(({ name }) => name === 'weft-1');
  t.like(bridge, { kind: 'bridge', mac: '02:00:5e:10:00:09', mtu: 1400, isUp: true });
  t.deepEqual(bridge?.bridge, { stp: false, multicastSnooping: false });
  const own = ['wv2', 'weft-h1'].map((each) => told.find(({ name }) => name === each));
  t.deepEqual(
    own.map((link) => link?.peerIndex),
    own.map((link) => link?.index).reverse(),
  );
  const port = told.find(({ name }) => name === 'wv1');
  t.like(port, { kind: 'veth', master: 'weft-1', alias: 'weft:a:b', mtu: 1400, isUp: true });
  for (const place of [at, box.path]) {
    t.deepEqual(byIndex(await netlink.links(place)), byIndex(await tool.links(place)));
  }
  t.true(await host.answers('10.7.0.2'));

  // Routes, also in place of those that are there; a metric beside another is another route.
  const route = { kind: 'setRoute', name: 'eth0', metric: 1024 } as const;
  await netlink.apply(
    [
      { kind: 'addAddress', name: 'eth0', address: 'fd00:7::2/64' },
      { ...route, destination: 'default', via: '10.7.0.9' },
      { ...route, destination: 'default', via: '10.7.0.1' },
      { ...route, destination: 'default', via: '10.7.0.8', metric: 1025 },
      { ...route, destination: '10.96.0.0/12', via: '10.7.0.9' },
      { ...route, destination: 'default', via: 'fd00:7::1' },
      { ...route, destination: '2001:db8::/32', via: 'fd00:7::9' },
    ],
    box.path,
  );
  const told4 = await box.ip('route show');
  const told6 = await box.ip('-6 route show');
  const routes = [
    ...`${told4}${told6}`.matchAll(/^(\S+) via (\S+) dev eth0 .*?metric (\d+)/gm),
  ].map(([, destination, via, metric]) => `${destination} ${via} ${metric}`);
  t.deepEqual(routes.sort(), [
    '10.96.0.0/12 10.7.0.9 1024',
    '2001:db8::/32 fd00:7::9 1024',
    'default 10.7.0.1 1024',
    'default 10.7.0.8 1025',
    'default fd00:7::1 1024',
  ]);
  await t.throwsAsync(
    netlink.apply([{ ...route, destination: 'default', via: '10.9.0.1' }], box.path),
    { message: /^"ip route replace default via 10\.9\.0\.1 dev eth0 metric 1024" was refused: / },
  );

  // Refused as ip(8) would be, and undone.
  const before = byIndex(await netlink.links(at));
  await t.throwsAsync(
    netlink.apply(
      [
        { kind: 'addBridge', name: 'weft-2', mac },
        { kind: 'setLink', name: 'weft-2', master: 'none' },
      ],
      at,
    ),
    { code: 'E_COMMAND_FAILED', message: /Cannot find device "none"; .* undone\.$/ },
  );
  t.deepEqual(byIndex(await netlink.links(at)), before);
  await t.throwsAsync(netlink.links('/run/netns/weft-t-none'), { message: /No such file/ });

  await host.run('ip', ['link', 'set', 'weft-1', 'type', 'bridge', 'stp_state', '1']);
  await netlink.apply([{ kind: 'setBridge', name: 'weft-1' }], at);
  await netlink.apply([{ kind: 'deleteAddress', name: 'weft-1', address: '10.7.0.1/24' }], at);
  const after = (await tool.links(at)).find(({ name }) => name === 'weft-1');
  t.false(after?.bridge?.stp);
  t.deepEqual(
    after?.addresses.filter(({ scope }) => scope === 'global').map(({ address }) => address),
    ['fd00:7::1'],
  );
  const file = '/proc/sys/net/ipv4/conf/eth0/arp_notify';
  await netlinkWriter(perform)(box.path, file, '1');
  t.is((await box.run('cat', [file])).trim(), '1');
  await netlink.apply([{ kind: 'deleteLink', name: 'wv1' }], at);
  t.deepEqual(
    (await tool.links(box.path)).map(({ name }) => name),
    ['lo'],
  );
});
