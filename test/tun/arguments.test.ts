import test from 'ava';
import fc from 'fast-check';
import { isAppError } from '../../src/base/errors.ts';
import { MAC_BYTES, readMac } from '../../src/wire/mac.ts';
import { check } from '../fakes/property.ts';
import {
  checkDeviceName,
  checkMac,
  checkMtu,
  checkQueueFrames,
  checkQueues,
} from '../../src/tun/arguments.ts';

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};

test('names that the kernel takes pass', (t) => {
  for (const name of ['a', 'weft0', 'weft%d', '%d', 'br-1.2', '123456789012345', 'größe', '...']) {
    t.is(checkDeviceName(name), name);
  }
});

test('names that it refuses, or that do not print, are E_IFNAME_INVALID', (t) => {
  const bad = ['', '.', '..', 'all', 'default', 'a/b', 'a:b', 'a b', 'a\tb', 'a\0b', 'a\u00a0b'];
  const patterns = [
    '100%',
    '%s',
    '%d%d',
    '%%d',
    '1234567890123456',
    'größegröße12',
    'à',
    'a\u200bb',
  ];
  for (const name of [...bad, ...patterns]) {
    t.is(
      codeOf(() => checkDeviceName(name)),
      'E_IFNAME_INVALID',
      JSON.stringify(name),
    );
  }
});

test('the sentence about a name says what was seen and what is allowed', (t) => {
  t.throws(() => checkDeviceName('overlay-network-7'), {
    message:
      '"overlay-network-7" can\'t name an interface: it is 17 bytes long; ' +
      'use 1 to 15 bytes without "/", ":" or spaces, such as "weft0" or "weft%d".',
  });
});

test('a name passes if and only if no fault of the kernel is in its bytes', (t) => {
  const letters = fc.constantFrom('a', 'Z', '0', '-', '_', '.', 'é', '%', 'd', '/', ':', ' ', '\n');
  t.notThrows(() =>
    check(
      fc.property(fc.string({ unit: letters, maxLength: 18 }), (name) => {
        const bytes = Buffer.byteLength(name);
        const percents = name.split('%').length - 1;
        const fits =
          bytes > 0 &&
          bytes < 16 &&
          !/[/: \n]/.test(name) &&
          !['.', '..'].includes(name) &&
          (percents === 0 || (percents === 1 && name.includes('%d')));
        return fits === (codeOf(() => checkDeviceName(name)) === undefined);
      }),
    ),
  );
});

test('MTU: 68 to 65521, whole numbers', (t) => {
  for (const mtu of [68, 1500, 65521]) t.is(checkMtu(mtu), mtu);
  for (const mtu of [67, 65522, 0, -1, 1500.5, NaN, Infinity]) {
    t.is(
      codeOf(() => checkMtu(mtu)),
      'E_MTU_RANGE',
      String(mtu),
    );
  }
  t.throws(() => checkMtu(9), {
    message: 'The MTU 9 is out of range; a device takes 68 to 65521 bytes.',
  });
});

test('queues: 1 to 256', (t) => {
  for (const queues of [1, 256]) t.is(checkQueues(queues), queues);
  for (const queues of [0, 257, 1.5]) {
    t.is(
      codeOf(() => checkQueues(queues)),
      'E_USAGE',
    );
  }
});

test('MACs: any station address passes, in either case, and no other', (t) => {
  const bytes = fc.uint8Array({ minLength: MAC_BYTES, maxLength: MAC_BYTES });
  t.notThrows(() =>
    check(
      fc.property(bytes, (mac) => {
        const text = Buffer.from(mac)
          .toString('hex')
          .replaceAll(/..(?!$)/g, '$&:');
        const isStation = ((mac[0] ?? 0) & 1) === 0 && mac.some((byte) => byte !== 0);
        if (!isStation) return codeOf(() => checkMac(text)) === 'E_MAC_INVALID';
        return checkMac(text.toUpperCase()) === readMac(mac, 0);
      }),
    ),
  );
});

test('what is no MAC is E_MAC_INVALID', (t) => {
  for (const text of ['', '02:00:00:00:00', '00:00:00:00:00:00', '02:00:00:00:00:0g', 'weft']) {
    t.is(
      codeOf(() => checkMac(text)),
      'E_MAC_INVALID',
      text,
    );
  }
  t.throws(() => checkMac('01:00:5e:00:00:01'), {
    message:
      '"01:00:5e:00:00:01" can\'t be an interface\'s MAC; give six bytes in hex whose first is even ' +
      'and which are not all zero, such as "02:00:00:00:00:01".',
  });
});

test('queue lengths of 1 to 65536 frames pass', (t) => {
  for (const frames of [1, 4096, 65_536]) t.is(checkQueueFrames(frames), frames);
  for (const frames of [0, -1, 1.5, Number.NaN, 65_537]) {
    t.is(
      codeOf(() => checkQueueFrames(frames)),
      'E_USAGE',
      String(frames),
    );
  }
});
