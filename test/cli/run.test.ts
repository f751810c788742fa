import test from 'ava';
import type { EndpointInfo } from '../../src/api/control.ts';
import { AppError } from '../../src/base/errors.ts';
import { FAKE_PEERS, FAKE_STATUS } from '../fakes/fake-control.ts';
import { CliHarness, populated } from './harness.ts';

/** Every line fits a terminal of 80 columns and none ends in a space. */
const isTidy = (text: string): boolean =>
  text.endsWith('\n') && text.split('\n').every((line) => line.length <= 80 && !/\s$/.test(line));

const HUMAN: readonly (readonly [string, RegExp])[] = [
  [
    'peers',
    /^NAME +STATE +SINCE[\s\S]*host-a \(this host\) +alive +1m 15s +192\.0\.2\.1:7783[\s\S]*host-b +dead/,
  ],
  ['network ls', /^NAME +VNI +SUBNET[\s\S]*\nblue +42 +10\.7\.0\.0\/24 +1450 +vxlan/],
  [
    'network inspect blue',
    /bridge weft-blue[\s\S]*made +1m 15s ago by host-a[\s\S]*10\.7\.0\.2\/24[\s\S]*192\.0\.2\.9:4789 +foreign/,
  ],
  ['network create red --subnet 10.8.0.0/24', /\nred +4097/],
  [
    'attach blue --pid 7 --ip 10.7.0.3',
    /address +10\.7\.0\.3\/24, MAC 02:00:5e:10:00:01, MTU 1450/,
  ],
  ['detach blue --netns web', /^detached 10\.7\.0\.2\/24 \(eth0 in web\)/],
  ['vtep add blue 192.0.2.10:9', /^added 192\.0\.2\.10:9 to blue/],
  ['vtep ls blue', /192\.0\.2\.9:4789 +foreign +0 B/],
  ['fdb blue', /static +10\.7\.0\.2\/24 on host-a\n.*:02 +vtep 192\.0\.2\.2:4789 +learned +1m 15s/],
  [
    'links host-b',
    /^host-b +alive; sealed \(aes-256-gcm\), plain VXLAN\npath +relay host-c, for 1m 15s[\s\S]*because +3 probes lost[\s\S]*\* relay host-c +relay +up +1\.2 ms ± 0\.2 ms +0 %/,
  ],
  ['dns ls', /^NAME +ADDRESS[\s\S]*web +10\.7\.0\.2 +blue[\s\S]*gw .*host-b \(away\) +added/],
  ['dns add Gw 10.7.0.9', /^added gw, 10\.7\.0\.9/],
  ['dns rm gw', /^removed gw, 10\.7\.0\.9/],
  ['join host-b', /^joined host-b \(host-b\)/],
  ['join host-b --token weft1.word', /^joined host-b \(host-b\)/],
  ['token --ttl 2h --uses 3', /^weft1\.word\n$/],
  ['token ls', /^ID +STATE +USED +EXPIRES\na1 +valid +1 of 2 +2026/],
  ['version', /^weft \d+\.\d+\.\d+ \(node v.*\ndaemon 0\.1\.0 .*mesh protocol 1/],
];

for (const [line, expected] of HUMAN) {
  test(`for a person: weft ${line}`, async (t) => {
    const { status, out, err } = await (await populated()).run(...line.split(' '));
    t.is(status, 0, err);
    t.is(err, '');
    t.regex(out, expected);
    if (!line.includes('inspect')) t.true(isTidy(out), out);
  });

  test(`one JSON document: weft ${line} --json`, async (t) => {
    const { status, out, err } = await (await populated()).run(...line.split(' '), '--json');
    t.is(status, 0);
    t.is(err, '');
    t.is(typeof JSON.parse(out), 'object');
  });
}

test('events are a line each, and one JSON document on request', async (t) => {
  const line =
    '2026-01-02T03:04:05.000Z  path to host-b: direct 192.0.2.2:7783 -> relay host-c: 3 probes lost\n';
  t.like(await new CliHarness().run('events'), { status: 0, out: line, err: '' });
  const { out } = await new CliHarness().run('events', '--json');
  t.like((JSON.parse(out) as object[])[0], { sequence: 7, kind: 'path', peer: 'host-b' });
});

test('metrics are what the socket tells a scraper', async (t) => {
  const { status, out } = await new CliHarness().run('metrics');
  t.is(status, 0);
  t.regex(out, /^# HELP weft_info [^\n]+\n# TYPE weft_info gauge\nweft_info\{host="host-a"/);
});

for (const line of ['leave', 'network rm blue', 'vtep rm blue 192.0.2.9', 'token revoke a1']) {
  test(`done in silence: weft ${line}`, async (t) => {
    const cli = await populated();
    t.like(await cli.run(...line.split(' ')), { status: 0, out: '', err: '' });
    t.is((await cli.run(...line.split(' '), '--json')).status, 2);
  });
}

test('status: warnings first, drops by name with their meaning, zeros left out', async (t) => {
  const { status, out } = await new CliHarness().run('status');
  t.is(status, 0);
  t.true(isTidy(out), out);
  const lines = out.split('\n');
  t.regex(lines[0] ?? '', /^warning: The mesh is open/);
  t.regex(lines[1] ?? '', /^warning: 1 host dead/);
  t.regex(out, /host +host-a \(01234567\), weft 0\.1\.0\nup +1m 15s, pid 4711\n/);
  t.regex(out, /2 alive, 1 dead/);
  t.regex(out, /blue +wt-blue +10 \(2\.0 KiB\) +0 \(0 B\)/);
  t.regex(out, /vxlan_flags +3 +what came to the VXLAN port was not VXLAN/);
  t.false(out.includes('vxlan_short'));
});

test('status of a quiet daemon says that nothing was dropped', async (t) => {
  const cli = new CliHarness();
  cli.control.statusAnswer = {
    ...FAKE_STATUS,
    warnings: [],
    dataPlane: { ...FAKE_STATUS.dataPlane, drops: { vxlan_short: 0 }, ports: [], vteps: [] },
    gossip: { ...FAKE_STATUS.gossip, members: { alive: 1, suspect: 0, dead: 0, left: 0 } },
  };
  const { out } = await cli.run('status');
  t.true(out.startsWith('host'));
  t.true(out.endsWith('Nothing was dropped.\n'));
});

test('JSON is what the daemon said', async (t) => {
  const cli = await populated();
  t.deepEqual(await cli.json('status'), FAKE_STATUS);
  t.deepEqual(await cli.json('peers'), FAKE_PEERS);
  const endpoint = (await cli.json('attach', 'blue', '--netns', 'db')) as EndpointInfo;
  t.deepEqual(Object.keys(endpoint), [
    ...['endpoint', 'network', 'address', 'mac', 'ifname', 'mtu', 'host', 'sandbox'],
  ]);
});

test('ps lists the endpoints of this host, or of all', async (t) => {
  const cli = await populated();
  const here = await cli.run('ps');
  t.deepEqual(cli.lastCall?.args, ['here']);
  t.is(
    here.out,
    [
      'NAME  NETWORK  ADDRESS      MAC                OWNER  SINCE   ENDPOINT',
      '-     blue     10.7.0.2/24  02:00:5e:10:00:01  pid 7  1m 15s  e0000000',
      '',
    ].join('\n'),
  );
  const all = await cli.run('ps', '--all');
  t.deepEqual(cli.lastCall?.args, ['all']);
  t.regex(all.out, /HOST +ENDPOINT\n.* host-a +e0000000\n$/);
  t.like(((await cli.json('ps')) as EndpointInfo[])[0], { owner: 'pid 7', address: '10.7.0.2/24' });
  const nobody = await new CliHarness().run('ps');
  t.is(nobody.out, 'This host has no endpoint; "weft ps --all" shows others.\n');
});

test('expose and hide are for this host', async (t) => {
  const cli = await populated();
  t.regex((await cli.run('expose', 'blue', '--ip', '10.7.0.9')).out, /10\.7\.0\.9\/24/);
  t.deepEqual(cli.control.calls.find(({ method }) => method === 'expose')?.args, [
    { network: 'blue', ip: '10.7.0.9' },
  ]);
  await cli.run('expose', 'blue', '--ip6', 'fd00::9');
  t.deepEqual(cli.control.calls.filter(({ method }) => method === 'expose').at(-1)?.args, [
    { network: 'blue', ip6: 'fd00::9' },
  ]);
  t.regex((await cli.run('hide', 'blue')).out, /^hidden 10\.7\.0\.\d+\/24 \(this host\)\n$/);
  t.is((await cli.run('expose', 'blue', '--ip', 'x')).status, 2);
});

test('flags become the request, and only those that were given', async (t) => {
  const cli = await populated();
  await cli.run(
    ...'attach blue --pid 7 --ifname net1 --ip 10.7.0.9 --mac 02:AA:00:00:00:01'.split(' '),
  );
  const mac = '02:aa:00:00:00:01';
  t.deepEqual(cli.lastCall?.args, [
    { network: 'blue', pid: 7, ifname: 'net1', ip: '10.7.0.9', mac },
  ]);
  await cli.run(...'attach blue --pid 7 --dns-name Web. --dns-name www.example --json'.split(' '));
  t.deepEqual(cli.lastCall?.args, [{ network: 'blue', pid: 7, names: ['web', 'www.example'] }]);
  await cli.run(
    ...'network create n --subnet 10.0.0.0/8 --vni 7 --mtu 1400 --encap vxlan'.split(' '),
  );
  t.deepEqual(cli.lastCall?.args, [
    { name: 'n', subnet: '10.0.0.0/8', vni: 7, mtu: 1400, encap: 'vxlan' },
  ]);
  await cli.run('detach', '--endpoint', 'e000', '--json');
  t.deepEqual(cli.lastCall?.args, [{ endpoint: 'e000' }]);
  await cli.run('vtep', 'add', 'blue', '2001:db8::9');
  t.deepEqual(cli.lastCall?.args, ['blue', '[2001:db8::9]:4789']);
  await cli.run('join', 'a', 'b:1');
  t.deepEqual(cli.lastCall?.args, [['a', 'b:1']]);
});

test('keys are listed, made and retired; a host is expelled and taken back', async (t) => {
  const cli = new CliHarness();
  const { out } = await cli.run('keys');
  t.regex(out, /^ID +NUMBER +STATE +OTHERS SEAL WITH IT +LACKED BY\n11111111 +1 +retired/);
  t.regex(out, /22222222 +2 +in use +host-b\n33333333 +3 +opens +host-b\n$/);
  await cli.run('keys', 'rotate');
  t.is(cli.lastCall?.method, 'rotateKeys');
  await cli.run('keys', 'retire', '11111111');
  t.deepEqual(cli.lastCall?.args, ['11111111']);
  t.regex((await cli.run('expel', 'host-c')).out, /^host-c \(c{32}\) is expelled\n$/);
  t.regex((await cli.run('expel', '--undo', 'host-c')).out, /may join again by a token\n$/);
  t.is(cli.lastCall?.method, 'takeBack');
  t.regex((await cli.run('expel', '--list')).out, /^NAME +ID\nhost-c +c{32}\n$/);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ['frobnicate', /unknown command 'frobnicate'/],
  ['statsu', /Did you mean status/],
  ['status --verbose', /unknown option '--verbose'/],
  ['status extra', /too many arguments/],
  ['network create blue', /--subnet/],
  ['network create --subnet 10.0.0.0/8', /name/],
  ['network create n --subnet 10.0.0.0', /"10\.0\.0\.0" is no subnet/],
  ['network create n --subnet 10.0.0.0/33', /is no subnet/],
  ['network create n --subnet 10.0.0.0/8 --vni 16777216', /16777216.*16777215/],
  ['network create n --subnet 10.0.0.0/8 --vni -1', /-1.*16777215|vni/],
  ['network create n --subnet 10.0.0.0/8 --mtu 100000', /100000.*65535/],
  ['network create n --subnet 10.0.0.0/8 --encap gre', /"gre".*vxlan/],
  ['attach blue', /Neither --netns nor --pid nor --docker is given/],
  ['attach blue --pid 1 --docker web', /Both --pid and --docker are given/],
  ['attach blue --docker a/b', /"a\/b" is no container of Docker's/],
  ['detach --endpoint e000 --docker web', /--endpoint names the endpoint alone/],
  ['ps extra', /too many arguments/],
  ['attach blue --netns a --pid 1', /Both --netns and --pid/],
  ['attach blue --pid zero', /"zero"/],
  ['attach blue --netns a --ip 10.0.0.1/33', /10\.0\.0\.1\/33/],
  ['attach blue --netns a --ip 10.0.0.1/24/24', /10\.0\.0\.1\/24\/24/],
  ['network create n --subnet 10.0.0.0/8 --vni 0', /VNI "0".*1 to 16777215/],
  [`status --socket ${'x'.repeat(200)}`, /200 bytes.*107/],
  ['attach blue --netns a --mac 01:00:5e:00:00:01', /01:00:5e:00:00:01/],
  ['attach blue --netns a --dns-name -web', /"-web" is no DNS name; give labels of 1 to 63/],
  ['attach blue --netns a --ifname much-too-long-name', /much-too-long-name.*15 bytes/],
  ['detach', /Nothing to detach/],
  ['detach blue', /Neither --netns nor --pid/],
  ['detach blue --endpoint e000', /--endpoint names the endpoint alone/],
  ['vtep add blue', /address/],
  ['vtep add blue host', /"host" is no VTEP/],
  ['vtep add blue 192.0.2.1:0', /192\.0\.2\.1:0/],
  ['join', /hosts/],
  ['join nonsense:port', /nonsense:port/],
  ['join a b --token weft1.word', /one host/],
  ['join a --token x --token-file y', /not both/],
  ['join a --token-file /nowhere', /\/nowhere.*ENOENT/],
  ['expel', /Name one host, or give --list alone/],
  ['expel host-c --list', /Name one host/],
  ['token --ttl soon', /"soon" is no span/],
  ['token --uses 0', /"0" is not a whole number/],
  ['up --colour', /--colour/],
  ['up --vxlan-port 70000', /--vxlan-port is "70000"/],
  ['up --data-plane fast', /--data-plane is "fast"/],
  ['up --config /nonexistent', /\/nonexistent/],
];

for (const [line, sentence] of WRONG) {
  test(`wrong usage in one line: weft ${line}`, async (t) => {
    const cli = new CliHarness();
    const { status, out, err, sockets } = await cli.run(...line.split(' '));
    t.is(status, 2);
    t.is(out, '');
    t.regex(err, sentence);
    t.regex(err, /^weft: [^\n]+\n$/);
    t.deepEqual(sockets, []);
  });
}

test('an error of the daemon ends with 1, no daemon with 3, each in one line', async (t) => {
  const cli = new CliHarness();
  t.like(await cli.run('network', 'rm', 'none'), {
    status: 1,
    err: 'weft: There is no network none; weft network ls shows all.\n',
  });
  cli.control.failWith = new AppError('E_VNI_RANGE', 'Said by the daemon.');
  t.like(await cli.run('status'), { status: 1, err: 'weft: Said by the daemon.\n' });
  cli.control.failWith = new AppError('E_DAEMON_UNREACHABLE', 'Nobody there.');
  t.like(await cli.run('status'), { status: 3, out: '', err: 'weft: Nobody there.\n' });
});

test('a bug is not dressed up as a failure', async (t) => {
  const cli = new CliHarness();
  cli.control.failWith = new TypeError('bug');
  await t.throwsAsync(cli.run('status'), { instanceOf: TypeError });
});

test('a join that reached some but not all says which and ends with 1', async (t) => {
  const { status, out, err } = await new CliHarness().run('join', 'host-b', 'bad-host');
  t.is(status, 1);
  t.is(out, 'joined host-b (host-b)\n');
  t.is(err, 'weft: bad-host refused the connection.\n');
});

test('an address may be written as it is shown, with its prefix length', async (t) => {
  const cli = await populated();
  await cli.run('attach', 'blue', '--netns', 'db', '--ip', '10.7.0.9/24');
  t.deepEqual(cli.lastCall?.args, [{ network: 'blue', netns: 'db', ip: '10.7.0.9/24' }]);
});

test('--version needs no daemon', async (t) => {
  t.like(await new CliHarness().run('--version'), { status: 0, err: '', sockets: [] });
});

test('version works without a daemon', async (t) => {
  const cli = new CliHarness();
  cli.control.failWith = new AppError('E_DAEMON_UNREACHABLE', 'Nobody there.');
  t.regex((await cli.run('version')).out, /no daemon reached/);
  t.deepEqual(Object.keys((await cli.json('version')) as object), ['version', 'node']);
});

test('the socket: flag before or after the command, then variable, then default', async (t) => {
  const cli = new CliHarness();
  t.deepEqual((await cli.run('peers')).sockets, ['/run/weft/weft.sock']);
  cli.env = { WEFT_SOCKET: '/env.sock' };
  t.deepEqual((await cli.run('peers')).sockets, ['/env.sock']);
  cli.env = { WEFT_SOCKET: '' };
  t.deepEqual((await cli.run('peers')).sockets, ['/run/weft/weft.sock']);
  t.like(await cli.run('peers', '--socket', ''), { status: 2, sockets: [] });
  t.deepEqual((await cli.run('--socket', '/a.sock', 'peers')).sockets, ['/a.sock']);
  t.deepEqual((await cli.run('network', 'ls', '--socket', '/b.sock')).sockets, ['/b.sock']);
});

for (const words of [
  [],
  ['up'],
  ['join'],
  ['network'],
  ['network', 'create'],
  ['attach'],
  ['vtep', 'add'],
]) {
  test(`weft ${[...words, '--help'].join(' ')} fits a terminal`, async (t) => {
    const { status, out, err } = await new CliHarness().run(...words, '--help');
    t.is(status, 0);
    t.is(err, '');
    t.regex(out, /^Usage: weft/);
    t.true(
      out.split('\n').every((line) => line.length <= 80),
      out,
    );
    if (words.length !== 1 || words[0] !== 'network') t.regex(out, /Example/);
  });
}

test('no command shows the help on stderr and is wrong usage', async (t) => {
  const { status, out, err } = await new CliHarness().run();
  t.is(status, 2);
  t.is(out, '');
  t.regex(err, /^Usage: weft/);
});
