import test from 'ava';
import fc from 'fast-check';
import { parseHostPort, parsePort } from '../../src/base/host-port.ts';
import { check } from '../fakes/property.ts';

const READ = [
  ['host-a', { host: 'host-a' }],
  ['host-a:7784', { host: 'host-a', port: 7784 }],
  ['192.0.2.1:0', { host: '192.0.2.1', port: 0 }],
  [':7784', { host: '', port: 7784 }],
  ['2001:db8::1', { host: '2001:db8::1' }],
  ['[2001:db8::1]', { host: '2001:db8::1' }],
  ['[::]:65535', { host: '::', port: 65535 }],
] as const;

for (const [text, expected] of READ) {
  test(`reads ${text}`, (t) => t.deepEqual(parseHostPort(text), expected));
}

for (const text of [
  '',
  ':',
  'a:',
  'a:b',
  'a:65536',
  'a:-1',
  'a:1:2',
  '[a]:1',
  '[::1',
  '[::1]x',
  'a b',
  'a/b',
  ' ',
]) {
  test(`refuses "${text}"`, (t) => t.is(parseHostPort(text), undefined));
}

test('a port is decimal and fits 16 bits', (t) => {
  t.is(parsePort('4789'), 4789);
  for (const text of ['', '0x10', '1e3', '65536', '1.5', ' 1'])
    t.is(parsePort(text), undefined, text);
});

test('random text: a host and a port in range, or nothing', (t) => {
  const piece = fc.oneof(fc.constantFrom('[', ']', ':', '::', '/', ' ', '65535'), fc.string());
  const property = fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
    const read = parseHostPort(pieces.join(''));
    return read === undefined || (read.port ?? 0) <= 65_535;
  });
  t.notThrows(() => check(property, 5000));
});
