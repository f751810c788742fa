import test from 'ava';
import type { Outcome, Perform, Step } from '../../src/os/netlink/addon.ts';
import { NetlinkIp, netlinkWriter } from '../../src/os/netlink/netlink-ip.ts';
import type { Ip } from '../../src/os/ip.ts';
import type { IpCommand } from '../../src/os/ip-command.ts';

const FINE: Outcome = { failedAt: 0, errno: 0, why: '', replies: [] };
const BRIDGE: IpCommand = { kind: 'addBridge', name: 'weft-1', mac: '02:00:00:00:00:01' };
const UP: IpCommand = { kind: 'setLink', name: 'weft-1', up: true };

const LOOPBACK = { prefixLength: 8, scope: 'host' };

/** Records what is to be performed and answers with what the test gives, then with success. */
function scripted(...answers: readonly Partial<Outcome>[]) {
  const calls: { netns: string; steps: readonly Step[] }[] = [];
  const left = [...answers];
  const perform: Perform = (netns, steps) => {
    calls.push({ netns, steps });
    return Promise.resolve({ ...FINE, ...left.shift() });
  };
  const tooled: (readonly IpCommand[])[] = [];
  const tool: Ip = {
    links: () => Promise.resolve([]),
    routes: () => Promise.resolve([{ destination: 'default' }]),
    neighbours: () => Promise.resolve([]),
    routeTo: () => Promise.resolve(undefined),
    apply: (commands) => Promise.resolve(void tooled.push(commands)),
  };
  return { calls, tooled, perform, ip: new NetlinkIp(perform, tool) };
}

test('commands go in one transaction, here or in another namespace', async (t) => {
  const { calls, ip } = scripted();
  await ip.apply([BRIDGE, UP]);
  await ip.apply([UP], '/run/netns/x');
  await ip.apply([]);
  t.deepEqual(
    calls.map(({ netns, steps }) => [netns, steps.length]),
    [
      ['', 2],
      ['/run/netns/x', 1],
    ],
  );
  t.is((await ip.routes())[0]?.destination, 'default');
});

test('a message is as the kernel documents it', async (t) => {
  const { calls, ip } = scripted();
  await ip.apply([
    { kind: 'setLink', name: 'ab', mtu: 1450, master: 'br', up: true },
    { kind: 'addAddress', name: 'ab', address: '10.7.0.1/24' },
    { kind: 'setPort', name: 'ab', isolated: true },
  ]);
  const [link, address, port] = calls[0]?.steps ?? [];
  if (!port || !('message' in port)) return t.fail();
  t.is(
    port.message.toString('hex'),
    [
      '44000000' + '1000' + '0500' + '00000000' + '00000000',
      '00000000' + '00000000' + '00000000' + '00000000',
      '0700' + '0300' + '61620000',
      '1c00' + '1200' + '0a00' + '0400' + '627269646765' + '0000',
      '0c00' + '0500' + '0500' + '2100' + '01000000',
    ].join(''),
  );
  if (!link || !address || !('message' in link) || !('message' in address)) return t.fail();
  t.is(
    link.message.toString('hex'),
    [
      '38000000' + '1000' + '0500' + '00000000' + '00000000',
      '00000000' + '00000000' + '01000000' + '01000000',
      '0700' + '0300' + '61620000',
      '0800' + '0a00' + '00000000',
      '0800' + '0400' + 'aa050000',
    ].join(''),
  );
  t.deepEqual(link.patches, [{ kind: 'index', text: 'br', at: 44 }]);
  t.is(
    address.message.toString('hex'),
    [
      '28000000' + '1400' + '0506' + '00000000' + '00000000',
      '02180000' + '00000000',
      '0800' + '0200' + '0a070001',
      '0800' + '0100' + '0a070001',
    ].join(''),
  );
  t.deepEqual(address.patches, [{ kind: 'index', text: 'ab', at: 20 }]);
});

test('a link that is deleted is named, so that its end is awaited and no more', async (t) => {
  const { calls, ip } = scripted();
  await ip.apply([UP, { kind: 'deleteLink', name: 'ab' }]);
  t.deepEqual(
    calls[0]?.steps.map((step) => 'message' in step && step.removes),
    [undefined, 'ab'],
  );
});

test('addresses are read by the index of their link', async (t) => {
  // A loopback address as the kernel tells it: ifaddrmsg, IFA_ADDRESS, IFA_LOCAL.
  const reply = Buffer.from(
    ['28000000' + '1400' + '0200', '01000000' + '00000000', '0208' + '80fe' + '07000000']
      .concat(['0800' + '0100' + '7f000001', '0800' + '0200' + '7f000001'])
      .join(''),
    'hex',
  );
  const { calls, ip } = scripted({ replies: [reply] });
  t.deepEqual(await ip.addresses(), new Map([[7, [{ address: '127.0.0.1', ...LOOPBACK }]]]));
  t.is(calls[0]?.steps.length, 1);
});

test('a refused command is named, and what was made before it is removed', async (t) => {
  const { calls, ip } = scripted({ failedAt: 1, errno: 1, why: 'Operation not permitted' });
  await t.throwsAsync(ip.apply([BRIDGE, UP], '/run/netns/x'), {
    code: 'E_COMMAND_FAILED',
    message:
      '"ip link set dev weft-1 up" was refused: Operation not permitted; what was done before it has been undone.',
  });
  t.is(calls[1]?.netns, '/run/netns/x');
  t.is(calls.length, 2);
});

test('a failure to undo is told too, and a namespace that can not be entered', async (t) => {
  const refused = { failedAt: 1, errno: 1, why: 'Operation not permitted' };
  const { ip } = scripted(
    refused,
    { errno: 16, why: 'Device busy' },
    { failedAt: -1, errno: 2, why: 'No such file' },
  );
  await t.throwsAsync(ip.apply([BRIDGE, UP]), {
    message: /undoing .* failed as well: Device busy\.$/,
  });
  await t.throwsAsync(ip.apply([UP], '/run/netns/y'), {
    message: "What lies in /run/netns/y can't be changed: No such file.",
  });
});

test('what has no message here is done by ip(8), all of it', async (t) => {
  const { calls, tooled, ip } = scripted();
  const odd: IpCommand = { kind: 'addAddress', name: 'ab', address: 'nonsense' };
  await ip.apply([UP, odd]);
  t.deepEqual(tooled, [[UP, odd]]);
  t.deepEqual(calls, []);
});

test('links that change while they are told are asked for again, but not for ever', async (t) => {
  const torn = { errno: 11, why: 'Resource temporarily unavailable' };
  const nothing = Buffer.alloc(0);
  const { calls, ip } = scripted(torn, torn, { replies: [nothing, nothing] });
  t.deepEqual(await ip.links(), []);
  t.is(calls.length, 3);
  const always = scripted(...Array<typeof torn>(20).fill(torn));
  await t.throwsAsync(always.ip.links('/run/netns/x'), { code: 'E_COMMAND_FAILED' });
  t.is(always.calls.length, 10);
});

test('a setting is written in its namespace, and a refusal told', async (t) => {
  const { calls, perform } = scripted({}, { errno: 30, why: 'Read-only file system' });
  const write = netlinkWriter(perform);
  await write('/run/netns/x', '/proc/sys/net/a', '1');
  t.deepEqual(calls, [{ netns: '/run/netns/x', steps: [{ path: '/proc/sys/net/a', value: '1' }] }]);
  await t.throwsAsync(write('/run/netns/x', '/proc/sys/net/a', '1'), {
    message: "/proc/sys/net/a in /run/netns/x can't be set to 1: Read-only file system.",
  });
});
