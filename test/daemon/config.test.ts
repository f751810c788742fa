import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { CONFIG_KEYS, environmentName, loadOptions } from '../../src/daemon/config.ts';
import { DEFAULT_OPTIONS } from '../../src/daemon/options.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const load = (flags: Record<string, unknown>, env: Record<string, string> = {}) =>
  loadOptions({ flags: { name: 'a', ...flags }, env });

test('without a word it is all defaults and the host name', async (t) => {
  const name = hostname();
  t.deepEqual(await loadOptions({ flags: {}, env: {} }), { ...DEFAULT_OPTIONS, name });
});

test('flags win over environment, environment over file, file over defaults', async (t) => {
  const config = join(temporaryDirectory(t), 'weft.json');
  writeFileSync(config, '{"name":"file","vxlanPort":1,"dataPlane":"portable","join":["x","y:1"]}');
  const options = await loadOptions({
    config,
    flags: { name: 'flag' },
    env: { WEFT_NAME: 'env', WEFT_VXLAN_PORT: '2', WEFT_PORT: 'tcp://10.0.0.1:80' },
  });
  t.is(options.name, 'flag');
  t.is(options.vxlanPort, 2);
  t.is(options.dataPlane, 'portable');
  t.deepEqual(options.join, ['x', 'y:1']);
  const fromEnv = await loadOptions({ flags: {}, env: { WEFT_CONFIG: config, WEFT_JOIN: 'z, w' } });
  t.is(fromEnv.name, 'file');
  t.deepEqual(fromEnv.join, ['z', 'w']);
});

test('listen and advertise take every form of an address', async (t) => {
  const both = DEFAULT_OPTIONS.listen.addresses;
  t.deepEqual((await load({ listen: ':7784' })).listen, { addresses: both, port: 7784 });
  t.deepEqual((await load({ listen: '192.0.2.1' })).listen, {
    addresses: ['192.0.2.1'],
    port: 7783,
  });
  t.deepEqual((await load({ listen: '[2001:db8::1]:9' })).listen, {
    addresses: ['2001:db8::1'],
    port: 9,
  });
  t.deepEqual((await load({ advertise: '192.0.2.1' })).advertise, { address: '192.0.2.1' });
  t.deepEqual((await load({ advertise: '[2001:db8::1]:7' })).advertise, {
    address: '2001:db8::1',
    port: 7,
  });
});

test('metrics are served nowhere unless an address and a port are given', async (t) => {
  t.false('metrics' in (await load({})));
  const inEnvironment = await load({}, { WEFT_METRICS: '[2001:db8::1]:9477' });
  t.deepEqual(inEnvironment.metrics, { host: '2001:db8::1', port: 9477 });
  t.deepEqual((await load({ metrics: 'localhost:9477' })).metrics, {
    host: 'localhost',
    port: 9477,
  });
});

const WRONG: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ name: 'no space' }, /--name is "no space"/],
  [{ listen: 'eth0:7783' }, /--listen is "eth0:7783".*IP address/],
  [{ listen: '1.2.3.4:99999' }, /--listen/],
  [{ advertise: '0.0.0.0' }, /--advertise/],
  [{ advertise: 'host' }, /--advertise/],
  [{ vxlanPort: '65536' }, /--vxlan-port is "65536".*65535/],
  [{ stateDir: '' }, /--state-dir/],
  [{ socket: `/${'x'.repeat(107)}` }, /--socket.*107/],
  [{ dataPlane: 'fast' }, /--data-plane is "fast".*native/],
  [{ threads: '0' }, /--threads is "0".*from 1 to 8/],
  [{ threads: '9' }, /--threads is "9"/],
  [{ threads: '1.5' }, /--threads is "1.5"/],
  [{ join: ['ok', 'a:b'] }, /--join is "a:b"/],
  [
    { trustedSubnet: ['10.0.0.0/8', '10.1.0.1/16'] },
    /--trusted-subnet is "10\.1\.0\.1\/16".*host bits/,
  ],
  [{ trustedSubnet: ['0.0.0.0/0'] }, /--trusted-subnet is "0\.0\.0\.0\/0"/],
  [{ trustedSubnet: ['10.0.0.1'] }, /--trusted-subnet is "10\.0\.0\.1".*write a subnet/],
  [{ trustedSubnet: ['10.0.0.0/8'], gossip: 'open' }, /--trusted-subnet.*takes a sealed mesh/],
  [
    { trustedSubnet: Array.from({ length: 33 }, (_, index) => `10.${index}.0.0/16`) },
    /--trusted-subnet.*there may be 32 of it, and here are 33/,
  ],
  [{ metrics: ':9477' }, /--metrics is ":9477".*ADDR:PORT/],
  [{ metrics: '192.0.2.1' }, /--metrics is "192\.0\.2\.1".*TCP port/],
  [{ metrics: '192.0.2.1:0' }, /--metrics/],
  [{ logLevel: 'loud' }, /--log-level is "loud".*debug/],
  [{ unknownUnicastRate: '0' }, /--unknown-unicast-rate is "0".*from 1 to 10000000/],
  [{ unknownUnicastRate: '1e3' }, /--unknown-unicast-rate is "1e3"/],
];

for (const [flags, sentence] of WRONG) {
  test(`a wrong flag is named: ${JSON.stringify(flags)}`, async (t) => {
    await t.throwsAsync(load(flags), { code: 'E_CONFIG', message: sentence });
  });
}

test('a wrong variable is named', async (t) => {
  await t.throwsAsync(load({}, { WEFT_LOG_LEVEL: 'loud' }), {
    message: /WEFT_LOG_LEVEL is "loud"/,
  });
});

const WRONG_FILES: readonly (readonly [string, RegExp])[] = [
  ['{"vxlanport": 1}', /"vxlanport" in .*did you mean "vxlanPort"/],
  ['{"colour": 1}', /"colour".*there are name, listen/],
  ['{"vxlanPort": true}', /"vxlanPort" in .* is "true".*number/],
  ['{"name": 7}', /must be a string/],
  ['{"join": "a:b"}', /"join" in .* is "a:b"/],
  ['{"join": [7]}', /must be a string/],
  ['// no comments\n{}', /is not JSON/],
  ['', /is not JSON/],
  ['[]', /no JSON object/],
];

for (const [text, sentence] of WRONG_FILES) {
  test(`a wrong config file is refused: ${text}`, async (t) => {
    const config = join(temporaryDirectory(t), 'weft.json');
    writeFileSync(config, text);
    const error = await t.throwsAsync(loadOptions({ config, flags: {}, env: {} }), {
      code: 'E_CONFIG',
      message: sentence,
    });
    t.false(error.message.includes('\n'));
  });
}

test('a config file that is not there is named', async (t) => {
  await t.throwsAsync(loadOptions({ config: '/nonexistent/weft.json', flags: {}, env: {} }), {
    code: 'E_CONFIG',
    message: /\/nonexistent\/weft\.json.*ENOENT/,
  });
});

test('each key has a variable', (t) => {
  t.is(environmentName('stateDir'), 'WEFT_STATE_DIR');
  t.is(new Set(CONFIG_KEYS.map(environmentName)).size, CONFIG_KEYS.length);
});

test('docs/operations.md lists every key with its flag and variable', (t) => {
  const text = readFileSync(join(packageRoot, 'docs/operations.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| `--([a-z-]+)`.*?\| `(WEFT_[A-Z_]+)`/gm)];
  t.deepEqual(
    rows.map(([, key]) => key),
    CONFIG_KEYS,
  );
  for (const [, key = '', flag = '', variable = ''] of rows) {
    t.is(environmentName(key), variable);
    t.is(`WEFT_${flag.replaceAll('-', '_').toUpperCase()}`, variable);
  }
});
