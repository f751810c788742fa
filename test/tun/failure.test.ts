import { constants } from 'node:os';
import test from 'ava';
import type { NativeFailure } from '../../src/tun/addon.ts';
import { actError, openError } from '../../src/tun/failure.ts';

const subject = { kind: 'TAP', name: 'weft0', netns: '/run/netns/blue' } as const;
const { errno } = constants;

const ROWS: readonly (readonly [NativeFailure['step'], number, string, RegExp])[] = [
  ['clone', errno.EACCES, 'E_PERMISSION', /"weft0" is not permitted \(EACCES\); run Weft as root/],
  ['attach', errno.EPERM, 'E_PERMISSION', /CAP_NET_ADMIN/],
  ['netns', errno.EPERM, 'E_PERMISSION', /CAP_SYS_ADMIN too/],
  [
    'netns',
    errno.ENOENT,
    'E_SANDBOX_MISSING',
    /"\/run\/netns\/blue", which is no network namespace/,
  ],
  ['netns', errno.EINVAL, 'E_SANDBOX_MISSING', /give the path of one, such as \/run\/netns\/NAME/],
  ['netns', errno.EMFILE, 'E_DEVICE', /at the step "netns" \(EMFILE\)/],
  ['clone', errno.ENOENT, 'E_PLATFORM', /^\/dev\/net\/tun is missing \(ENOENT\); load the kernel/],
  ['attach', errno.EBUSY, 'E_DEVICE_BUSY', /"weft0" is in use by another process or handle/],
  ['attach', errno.EEXIST, 'E_IFNAME_TAKEN', /"ip link del weft0"/],
  ['attach', errno.ENODEV, 'E_DEVICE_MISSING', /^There is no TAP device "weft0"/],
  ['attach', errno.EINVAL, 'E_IFNAME_INVALID', /does not take "weft0" as a name/],
  ['attach', errno.ENOMEM, 'E_DEVICE', /at the step "attach" \(ENOMEM\)/],
  ['offloads', errno.EINVAL, 'E_PLATFORM', /leave out "uso4" and "uso6"/],
  ['vnet-header', errno.EFAULT, 'E_DEVICE', /at the step "vnet-header" \(EFAULT\)/],
  ['socket', errno.EMFILE, 'E_DEVICE', /at the step "socket"/],
  ['watch', errno.ENOSPC, 'E_DEVICE', /at the step "watch"/],
];

for (const [step, number, code, sentence] of ROWS) {
  test(`open refused at ${step} by errno ${number} is ${code}`, (t) => {
    const error = openError({ step, errno: -number }, subject);
    t.is<string, string>(error.code, code);
    t.regex(error.message, sentence);
    t.regex(error.message, /^[^\n]+\.$/);
  });
}

test('acts on an open device', (t) => {
  const act = (number: number): readonly [string, string] => {
    const { code, message } = actError('weft0', 'set the MTU 9000', -number);
    return [code, message];
  };
  t.deepEqual(act(errno.EPERM), [
    'E_PERMISSION',
    'To set the MTU 9000 of device "weft0" is not permitted (EPERM); run Weft as root or with CAP_NET_ADMIN.',
  ]);
  t.deepEqual(act(errno.ENODEV), [
    'E_DEVICE_MISSING',
    'The device "weft0" is gone: it was deleted or moved to another namespace; open it again.',
  ]);
  t.deepEqual(act(errno.EBADF), [
    'E_DEVICE_MISSING',
    'The device "weft0" has been closed; open it again.',
  ]);
  t.deepEqual(act(errno.EINVAL), [
    'E_DEVICE',
    'The kernel refused to set the MTU 9000 of device "weft0" (EINVAL); see "ip link show weft0".',
  ]);
});
