import test from 'ava';
import { CommandFailed, type Exec } from '../../src/os/exec.ts';
import { IpTool } from '../../src/os/ip.ts';
import type { IpCommand } from '../../src/os/ip-command.ts';

interface Call {
  readonly command: string;
  readonly input: string;
}

/** Records each call and answers with what the test gives, in order; then with nothing. */
function scripted(...answers: readonly (string | Error)[]) {
  const calls: Call[] = [];
  const left = [...answers];
  const exec: Exec = {
    run(program, args, { input = '' } = {}) {
      calls.push({ command: [program, ...args].join(' '), input });
      const answer = left.shift() ?? '';
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  return { calls, ip: new IpTool(exec) };
}

const BRIDGE: IpCommand = { kind: 'addBridge', name: 'weft-1', mac: '02:00:00:00:00:01' };
const UP: IpCommand = { kind: 'setLink', name: 'weft-1', up: true };
const BRIDGE_LINE =
  'link add name weft-1 address 02:00:00:00:00:01 type bridge stp_state 0 mcast_snooping 0\n';
const MARK = 'link show dev lo\n';
const LO = '1: lo: <LOOPBACK> mtu 65536\\    link/loopback\n';
const refusal = (why: string, stdout = '') =>
  new CommandFailed('"ip -batch -" failed', { stdout, stderr: `${why}\n` });

test('commands go in one process, here or in another namespace', async (t) => {
  const { calls, ip } = scripted();
  await ip.apply([BRIDGE, UP]);
  await ip.apply([UP], '/run/netns/x');
  await ip.apply([]);
  t.deepEqual(calls, [
    {
      command: 'ip -oneline -batch -',
      input: `${BRIDGE_LINE}${MARK}link set dev weft-1 up\n${MARK}`,
    },
    {
      command: 'nsenter --net=/run/netns/x ip -oneline -batch -',
      input: `link set dev weft-1 up\n${MARK}`,
    },
  ]);
});

test('a refused command is named, and what was made before it is removed', async (t) => {
  const { calls, ip } = scripted(refusal('RTNETLINK answers: Operation not permitted', LO));
  await t.throwsAsync(ip.apply([BRIDGE, UP], '/run/netns/x'), {
    code: 'E_COMMAND_FAILED',
    message:
      '"ip link set dev weft-1 up" was refused: RTNETLINK answers: Operation not permitted; what was done before it has been undone.',
  });
  t.deepEqual(calls[1], {
    command: 'nsenter --net=/run/netns/x ip -force -batch -',
    input: `link delete dev weft-1\n${MARK}`,
  });
});

test('if the first command is refused there is nothing to undo', async (t) => {
  const { calls, ip } = scripted(refusal('RTNETLINK answers: File exists'));
  await t.throwsAsync(ip.apply([BRIDGE, UP]), { message: /link add name weft-1.*File exists/ });
  t.is(calls.length, 1);
});

test('an undo that fails too is told with the cause', async (t) => {
  const { ip } = scripted(refusal('RTNETLINK answers: Busy', LO), refusal('no'));
  await t.throwsAsync(ip.apply([BRIDGE, UP]), {
    code: 'E_COMMAND_FAILED',
    message: /Busy; undoing what was done before it failed as well: .*no/,
  });
});

test('a program that can not be started keeps its own sentence', async (t) => {
  const { ip } = scripted(new CommandFailed('ip is not on this host; install it.'));
  await t.throwsAsync(ip.apply([BRIDGE]), { message: 'ip is not on this host; install it.' });
});

test('looking', async (t) => {
  const { calls, ip } = scripted('[]', '', '[{"dst":"default","dev":"eth0"}]', '[]', '[]');
  t.deepEqual(await ip.links('/run/netns/x'), []);
  t.deepEqual(await ip.links(), []);
  t.deepEqual(await ip.routes(), [{ destination: 'default', device: 'eth0' }]);
  t.deepEqual(await ip.neighbours(), []);
  t.deepEqual(
    calls.map(({ command }) => command),
    [
      'nsenter --net=/run/netns/x ip -json -details address show',
      'ip -json -details address show',
      'ip -json -details -4 route show',
      'ip -json -details -6 route show',
      'ip -json -details neighbour show',
    ],
  );
});

test('no route is no error; a broken program is', async (t) => {
  const unreachable = refusal('RTNETLINK answers: Network is unreachable');
  const { ip } = scripted(
    unreachable,
    '[{"dst":"9.9.9.9","dev":"eth0","prefsrc":"192.0.2.2"}]',
    '{',
  );
  t.is(await ip.routeTo('9.9.9.9'), undefined);
  t.like(await ip.routeTo('9.9.9.9'), { device: 'eth0', source: '192.0.2.2' });
  await t.throwsAsync(ip.routeTo('9.9.9.9'), { instanceOf: SyntaxError });
});
