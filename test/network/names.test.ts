import test from 'ava';
import { asPeerId, asVni, MAX_VNI } from '../../src/base/types.ts';
import {
  bridgeMac,
  bridgeName,
  checkIfname,
  formatMark,
  hostEndName,
  parseMark,
  tapName,
} from '../../src/network/names.ts';
import { isStationMac } from '../../src/wire/mac.ts';

const host = asPeerId('0123456789abcdef0123456789abcdef');

test('every name that Weft makes fits an interface', (t) => {
  const names = [bridgeName(asVni(MAX_VNI)), tapName(asVni(MAX_VNI)), hostEndName('f'.repeat(32))];
  t.deepEqual(names, ['weft-16777215', 'wtap-16777215', 'wvffffffffffff']);
  for (const name of names) t.notThrows(() => checkIfname(name));
});

test('names of interfaces: what the kernel and ip -batch take', (t) => {
  for (const good of ['eth0', 'e', 'a.b-c_d', '0x', 'abcdefghijklmno']) {
    t.notThrows(() => checkIfname(good), good);
  }
  const bad = [
    '',
    'abcdefghijklmnop',
    'a b',
    'a/b',
    'a\nb',
    '.',
    '..',
    '-e',
    'eth%d',
    'lo',
    'all',
    'ä',
  ];
  for (const name of bad) t.throws(() => checkIfname(name), { code: 'E_IFNAME_INVALID' }, name);
});

test("a bridge's MAC is fixed, unicast, local, and differs by host and network", (t) => {
  const other = asPeerId('1123456789abcdef0123456789abcdef');
  const macs = [host, other].flatMap((id) => [1, 2, 3].map((vni) => bridgeMac(id, asVni(vni))));
  t.is(new Set(macs).size, 6);
  for (const mac of macs) {
    t.true(isStationMac(mac));
    t.is(Math.floor(mac / 2 ** 40), 0x02);
  }
  t.true(macs[0] === bridgeMac(host, asVni(1)));
});

test('marks are read back, and foreign aliases are not ours', (t) => {
  const marks = [
    { host, network: 'blue.1', endpoint: 'abcdef012345' },
    { host, network: 'blue' },
  ];
  for (const mark of marks) t.deepEqual(parseMark(formatMark(mark)), mark);
  for (const alias of [undefined, '', 'weft', 'weft:a', 'uplink', 'weft:a:b:c:d', 'xweft:a:b']) {
    t.is(parseMark(alias), undefined);
  }
});
