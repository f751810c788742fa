import test from 'ava';
import { ipWords, undoCommands, type IpCommand } from '../../src/os/ip-command.ts';

const COMMANDS: readonly (readonly [IpCommand, string])[] = [
  [
    { kind: 'addBridge', name: 'weft-1', mac: '02:00:00:00:00:01' },
    'link add name weft-1 address 02:00:00:00:00:01 type bridge stp_state 0 mcast_snooping 0',
  ],
  [
    { kind: 'setBridge', name: 'weft-1' },
    'link set dev weft-1 type bridge stp_state 0 mcast_snooping 0',
  ],
  [
    {
      ...{ kind: 'addVeth', name: 'wv1', mtu: 1450 },
      peer: { name: 'eth0', namespace: '/proc/9/fd/7', mac: '02:00:00:00:00:02', mtu: 1450 },
    },
    'link add name wv1 mtu 1450 type veth peer name eth0 address 02:00:00:00:00:02 mtu 1450 netns /proc/9/fd/7',
  ],
  [{ kind: 'setLink', name: 'wv1', up: true }, 'link set dev wv1 up'],
  [
    { kind: 'setPort', name: 'wv1', isolated: true },
    'link set dev wv1 type bridge_slave isolated on',
  ],
  [
    { kind: 'setLink', name: 'x', master: 'b', mtu: 9, mac: 'm', alias: 'a:b', up: true },
    'link set dev x master b mtu 9 address m alias a:b up',
  ],
  [{ kind: 'deleteLink', name: 'wv1' }, 'link delete dev wv1'],
  [
    { kind: 'setRoute', name: 'eth0', destination: 'default', via: '10.7.0.1', metric: 1024 },
    'route replace default via 10.7.0.1 dev eth0 metric 1024',
  ],
  [
    { kind: 'addAddress', name: 'eth0', address: '10.7.0.2/24' },
    'address add 10.7.0.2/24 dev eth0',
  ],
  [
    { kind: 'addAddress', name: 'eth0', address: 'fd00::2/64' },
    'address add fd00::2/64 dev eth0 nodad',
  ],
  [
    { kind: 'addAddress', name: 'weft-h1', address: '10.7.0.2/24', isRouteless: true },
    'address add 10.7.0.2/24 dev weft-h1 noprefixroute',
  ],
  [
    { kind: 'deleteAddress', name: 'eth0', address: '10.7.0.2/24' },
    'address delete 10.7.0.2/24 dev eth0',
  ],
];

test('commands are what ip(8) reads', (t) => {
  for (const [command, words] of COMMANDS) t.is(ipWords(command).join(' '), words);
});

test('what was made is taken back, last first; settings and deletions can not be', (t) => {
  const commands = COMMANDS.map(([command]) => command);
  t.deepEqual(
    undoCommands(commands).map((command) => ipWords(command).join(' ')),
    [
      'address delete 10.7.0.2/24 dev weft-h1',
      'address delete fd00::2/64 dev eth0',
      'address delete 10.7.0.2/24 dev eth0',
      'link delete dev wv1',
      'link delete dev weft-1',
    ],
  );
});
