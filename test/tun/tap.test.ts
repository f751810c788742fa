import test from 'ava';
import { Tap, type TapOptions } from '../../src/tun/tap.ts';

const REFUSED: readonly (readonly [string, TapOptions])[] = [
  ['E_IFNAME_INVALID', { name: 'a/b' }],
  ['E_MTU_RANGE', { mtu: 67 }],
  ['E_MAC_INVALID', { mac: '00:00:00:00:00:00' }],
  ['E_USAGE', { queues: 0 }],
  ['E_USAGE', { offloads: ['checksum'] }],
];

for (const [code, options] of REFUSED) {
  test(`open with ${JSON.stringify(options)} is ${code} before the kernel is asked`, (t) => {
    // A namespace that is not there: had the kernel been asked, that would be the error.
    t.throws(() => Tap.open({ netns: '/nowhere/weft', ...options }), { code });
  });
}

test('remove checks the name too', (t) => {
  t.throws(() => Tap.remove({ name: 'a b', netns: '/nowhere/weft' }), { code: 'E_IFNAME_INVALID' });
});
