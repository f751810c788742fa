import test from 'ava';
import { AppError } from '../../src/base/errors.ts';
import { checkNetworkMtu, networkMtu, type IpFamily } from '../../src/encap/mtu.ts';
import { vxlan } from '../../src/encap/vxlan.ts';

const path = (underlayMtu: number, family: IpFamily) => ({
  underlayMtu,
  family,
  encapsulation: vxlan,
});

const table: readonly (readonly [number, IpFamily, number])[] = [
  [1500, 4, 1450],
  [1500, 6, 1430],
  [9000, 4, 8950],
  [9000, 6, 8930],
  [1400, 4, 1350],
  [65535, 4, 65485],
  [65536, 4, 65485], // the loopback's MTU is one more than an IP packet's length field holds
];

for (const [underlay, family, network] of table) {
  test(`${underlay} over IPv${family} leaves ${network}`, (t) => {
    t.is(networkMtu(path(underlay, family)), network);
    t.is(checkNetworkMtu(undefined, path(underlay, family), 4), network);
  });
}

test('a person may choose less, down to the least of the subnet family', (t) => {
  t.is(checkNetworkMtu(1280, path(1500, 4), 6), 1280);
  t.is(checkNetworkMtu(552, path(1500, 4), 4), 552);
});

for (const [asked, family] of [
  [1451, 4],
  [551, 4],
  [1279, 6],
  [-1, 4],
  [1400.5, 4],
  [Number.NaN, 4],
] as const) {
  test(`MTU ${asked} of an IPv${family} subnet is refused with the range`, (t) => {
    const error = t.throws(() => checkNetworkMtu(asked, path(1500, 4), family), {
      instanceOf: AppError,
    });
    t.is(error.code, 'E_MTU_RANGE');
    t.regex(error.message, new RegExp(`^The MTU ${asked} .*${family === 4 ? 552 : 1280} to 1450`));
  });
}

test('an underlay that is too narrow is named with the MTU it needs', (t) => {
  const error = t.throws(() => checkNetworkMtu(undefined, path(1300, 6), 6), {
    instanceOf: AppError,
  });
  t.is(error.code, 'E_MTU_RANGE');
  t.regex(error.message, /1300 .*70 bytes.*leaves 1230 .*1280.*1350 or more/);
});
