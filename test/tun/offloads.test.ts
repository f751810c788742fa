import test from 'ava';
import { offloadFlags } from '../../src/tun/offloads.ts';

test('flags are those of linux/if_tun.h', (t) => {
  t.is(offloadFlags([], undefined), 0);
  t.is(offloadFlags(['checksum'], 10), 0x01);
  t.is(offloadFlags(['checksum', 'tso4', 'tso6', 'tsoEcn', 'uso4', 'uso6'], 12), 0x6f);
});

test('offloads without a header to describe them, or without checksum, are refused', (t) => {
  t.throws(() => offloadFlags(['checksum', 'tso4'], undefined), {
    code: 'E_USAGE',
    message:
      'The offloads checksum, tso4 need a virtio-net header to be described in; set vnetHeader to 10 or 12.',
  });
  t.throws(() => offloadFlags(['tso4'], 10), {
    code: 'E_USAGE',
    message: 'The offloads tso4 leave checksums unfinished too; add "checksum".',
  });
});
