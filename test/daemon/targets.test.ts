import test from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { parseTarget, parseVtep, resolveTarget } from '../../src/daemon/targets.ts';

const GOOD: readonly (readonly [string, string, number])[] = [
  ['host-a', 'host-a', 7783],
  ['host-a:7000', 'host-a', 7000],
  ['192.0.2.1', '192.0.2.1', 7783],
  ['192.0.2.1:1', '192.0.2.1', 1],
  ['2001:db8::1', '2001:db8::1', 7783],
  ['[2001:db8::1]', '2001:db8::1', 7783],
  ['[2001:db8::1]:65535', '2001:db8::1', 65535],
];

for (const [text, host, port] of GOOD) {
  test(`${text} is ${host} port ${port}`, (t) => {
    t.deepEqual(parseTarget(text, 7783), { host, port });
  });
}

for (const text of [
  '',
  ':7783',
  'a b',
  'host:',
  'host:0',
  'host:65536',
  'host:1x',
  '[host]:1',
  'a:b:c',
]) {
  test(`"${text}" is refused with the text seen`, (t) => {
    const error = t.throws(() => parseTarget(text, 7783));
    t.true(isAppError(error, 'E_USAGE'));
    t.true(error.message.includes(`"${text}"`));
  });
}

test('an address resolves to itself', async (t) => {
  t.deepEqual(await resolveTarget('127.0.0.1:5', 7783), [{ address: '127.0.0.1', port: 5 }]);
});

test('a name that no one has is one clear sentence', async (t) => {
  const error = await t.throwsAsync(resolveTarget('no-such-host.invalid', 7783));
  t.true(isAppError(error, 'E_JOIN_UNRESOLVED'));
  t.regex(error.message, /no-such-host\.invalid/);
});

test('a VTEP is one other host, in one spelling', (t) => {
  t.deepEqual(parseVtep('192.0.2.9', 4789), { address: '192.0.2.9', port: 4789 });
  t.deepEqual(parseVtep('[2001:DB8:0::9]:4790', 4789), { address: '2001:db8::9', port: 4790 });
  for (const text of [
    'host-a',
    '0.0.0.0',
    '127.0.0.1',
    '239.1.1.1',
    '255.255.255.255',
    '::1',
    '::',
    'ff02::1',
  ]) {
    t.throws(
      () => parseVtep(text, 4789),
      { code: 'E_ADDRESS_INVALID', message: /is no VTEP/ },
      text,
    );
  }
});
