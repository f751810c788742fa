import test from 'ava';
import { canonicalAddress, canonicalVtep } from '../../src/dataplane/vtep-address.ts';

const spellings: readonly (readonly [string, string])[] = [
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:207', '192.0.2.7'],
  ['2001:DB8:0:0:0:0:0:7', '2001:db8::7'],
  ['2001:0db8::0:7', '2001:db8::7'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::1', '::1'],
  ['::', '::'],
];
for (const [written, known] of spellings) {
  test(`${written} is known as ${known}`, (t) => t.is(canonicalAddress(written), known));
}

for (const text of ['', 'host.example', '192.0.2', '192.0.2.7:4789', '[::1]', '1::2::3', '%eth0']) {
  test(`'${text}' is no underlay address`, (t) => {
    t.throws(() => canonicalAddress(text), {
      code: 'E_ADDRESS_INVALID',
      message: /is no underlay address; give an IPv4 or IPv6 address/,
    });
  });
}

test('a VTEP has a port from 1 to 65535', (t) => {
  const vtep = { address: '::ffff:192.0.2.7', port: 4789 };
  t.deepEqual(canonicalVtep(vtep), { address: '192.0.2.7', port: 4789 });
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
    t.throws(() => canonicalVtep({ ...vtep, port }), {
      code: 'E_ADDRESS_INVALID',
      message: new RegExp(`UDP port ${port}; give one from 1 to 65535`),
    });
  }
});
