import test from 'ava';
import { Lab } from '../../bench/lib/lab.ts';
import { systemExec } from '../../src/os/exec.ts';
import { IpTool } from '../../src/os/ip.ts';
import type { Link } from '../../src/os/ip-json.ts';
import { loadPerform } from '../../src/os/netlink/addon.ts';
import { NetlinkIp, netlinkWriter } from '../../src/os/netlink/netlink-ip.ts';
import { NetlinkPolicyRouting } from '../../src/os/netlink/netlink-policy-routing.ts';
import type { PolicyEntry } from '../../src/os/policy-routing.ts';

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

test('a link that was deleted is gone at both ends, and can be made anew at once, by many at a time', async (t) => {
  const lab = new Lab('nld');
  t.teardown(() => lab.destroy());
  const host = await lab.namespace('host');
  const boxes = await Promise.all(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => lab.namespace(name)),
  );
  const names = async (place: string): Promise<readonly string[]> =>
    (await netlink.links(place)).map(({ name }) => name);
  const rounds = boxes.map(async ({ path: namespace }, index) => {
    const name = `wv${index}`;
    const peer = { name: 'eth0', namespace, mac: '02:00:5e:10:00:01', mtu: 1400 };
    for (let round = 0; round < 5; round++) {
      await netlink.apply([{ kind: 'addVeth', name, mtu: 1400, peer }], host.path);
      await netlink.apply([{ kind: 'deleteLink', name }], host.path);
      t.false((await names(host.path)).includes(name));
      t.deepEqual(await names(namespace), ['lo']);
    }
  });
  await Promise.all(rounds);
  await t.throwsAsync(netlink.apply([{ kind: 'deleteLink', name: 'wv0' }], host.path), {
    message: /^"ip link delete dev wv0" was refused: No such device;/,
  });
});

test('policy rules and their routes are as ip(8) shows them, and only those of Weft are seen', async (t) => {
  const lab = new Lab('nlp');
  t.teardown(() => lab.destroy());
  const host = await lab.namespace('host');
  await host.ip('link add name h1 type veth peer name h2');
  for (const end of ['h1', 'h2']) await host.ip(`link set ${end} up`);
  await netlink.apply(
    [
      { kind: 'addAddress', name: 'h1', address: '10.7.0.9/24', isRouteless: true },
      { kind: 'addAddress', name: 'h1', address: 'fd00:7::9/64', isRouteless: true },
    ],
    host.path,
  );
  t.notRegex(`${await host.ip('route show')}${await host.ip('-6 route show')}`, /10\.7|fd00:7/);
  const index = (await tool.links(host.path)).find(({ name }) => name === 'h1')?.index;
  const routing = new NetlinkPolicyRouting(
    (_netns, steps) => perform(host.path, steps),
    (wanted) => (wanted === index ? 'h1' : 'other'),
  );
  t.deepEqual(await routing.list(), [], 'a table that is not there is empty');
  const ends4 = { from: '10.7.0.9', to: '10.7.0.0/24' };
  const ends6 = { from: 'fd00:7::9', to: 'fd00:7::/64' };
  const entries: readonly PolicyEntry[] = [
    { kind: 'rule', ...ends4 },
    { kind: 'rule', ...ends4, from: '0.0.0.0' },
    { kind: 'rule', ...ends6 },
    { kind: 'route', ...ends4, device: 'h1' },
    { kind: 'route', ...ends6, device: 'h1' },
  ];
  await routing.change([], entries);
  t.deepEqual(await routing.list(), entries);
  await t.throwsAsync(routing.change([], entries.slice(0, 1)), {
    message: /^The rule "from 10\.7\.0\.9 to 10\.7\.0\.0\/24" can't be added: File exists/,
  });
  const rules = await host.ip('rule show');
  t.regex(rules, /^1783:\s+from 0\.0\.0\.0 to 10\.7\.0\.0\/24 lookup 7783 proto 87$/m);
  t.regex(rules, /^1783:\s+from 10\.7\.0\.9 to 10\.7\.0\.0\/24 lookup 7783 proto 87$/m);
  const way = async (words: string): Promise<string> =>
    (/table \d+|unreachable/.exec(
      (await host.tryRun('ip', ['route', 'get', ...words.split(' ')])).stdout,
    ) ?? ['none'])[0];
  t.is(await way('10.7.0.2'), 'table 7783');
  t.is(await way('fd00:7::2'), 'table 7783', 'though its source is not chosen yet');
  t.is(await way('fd00:7::2 from fd00:7::9'), 'table 7783');

  await host.ip('rule add to 10.7.0.0/24 lookup 7783 priority 1783');
  await host.ip('route add 10.9.0.0/24 dev h1 table 7783');
  t.deepEqual(await routing.list(), entries);
  await routing.change(entries, []);
  t.deepEqual(await routing.list(), []);
  t.regex(await host.ip('rule show'), /1783:\s+from all to 10\.7\.0\.0\/24 lookup 7783$/m);
});
