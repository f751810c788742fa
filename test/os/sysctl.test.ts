import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Exec } from '../../src/os/exec.ts';
import { ProcSysctl } from '../../src/os/sysctl.ts';

const noExec: Exec = { run: () => Promise.reject(new Error('no program is expected to run')) };

/** A folder that looks like /proc/sys/net. */
async function fakeProc(t: ExecutionContext, files: Readonly<Record<string, string>>) {
  const root = await mkdtemp(join(tmpdir(), 'weft-sysctl-'));
  t.teardown(() => rm(root, { recursive: true }));
  for (const [path, value] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), value);
  }
  return root;
}

const KEY = 'ipv6/conf/weft-1/disable_ipv6';

test('IPv6 is taken off an interface', async (t) => {
  const root = await fakeProc(t, { [KEY]: '0\n' });
  const sysctl = new ProcSysctl(noExec, root);
  t.false(await sysctl.isIpv6Disabled('weft-1'));
  await sysctl.disableIpv6('weft-1');
  t.is((await readFile(join(root, KEY), 'utf8')).trim()[0], '1');
  t.true(await new ProcSysctl(noExec, root).isIpv6Disabled('weft-1'));
});

test('a kernel without IPv6 has nothing to take off', async (t) => {
  const sysctl = new ProcSysctl(noExec, await fakeProc(t, {}));
  t.true(await sysctl.isIpv6Disabled('weft-1'));
  await t.notThrowsAsync(sysctl.disableIpv6('weft-1'));
});

test('an interface whose MTU is too small for IPv6 has nothing to take off', async (t) => {
  const other = 'ipv6/conf/all/disable_ipv6';
  const root = await fakeProc(t, { [other]: '0\n', 'ipv4/conf/wv2/forwarding': '0\n' });
  const sysctl = new ProcSysctl(noExec, root);
  t.true(await sysctl.isIpv6Disabled('wv2'));
  await t.notThrowsAsync(sysctl.disableIpv6('wv2'));
});

test('an interface that is gone is named', async (t) => {
  const root = await fakeProc(t, { [KEY]: '0\n' });
  await t.throwsAsync(new ProcSysctl(noExec, root).disableIpv6('wv2'), {
    ...{ code: 'E_DEVICE_MISSING', message: /^Interface wv2 has gone/ },
  });
});

test('IPv6 in a sandbox is switched on from within', async (t) => {
  const calls: unknown[] = [];
  const exec: Exec = {
    run: (...call) => {
      calls.push(call);
      return Promise.resolve('0');
    },
  };
  await new ProcSysctl(exec).enableIpv6('eth0', '/run/netns/x');
  // No router's word counts before the first could come.
  const targets = ['accept_ra', 'disable_ipv6'].map(
    (name) => `/proc/sys/net/ipv6/conf/eth0/${name}`,
  );
  t.deepEqual(
    calls,
    targets.map((target) => ['nsenter', ['--net=/run/netns/x', 'tee', target], { input: '0' }]),
  );
});

test('whether bridged frames are filtered', async (t) => {
  const v4 = 'bridge/bridge-nf-call-iptables';
  const v6 = 'bridge/bridge-nf-call-ip6tables';
  const cases = [
    [{}, false],
    [{ [v4]: '0\n', [v6]: '0\n' }, false],
    [{ [v4]: '1\n', [v6]: '0\n' }, true],
    [{ [v4]: '0\n', [v6]: '1\n' }, true],
  ] as const;
  for (const [files, filters] of cases) {
    t.is(await new ProcSysctl(noExec, await fakeProc(t, files)).filtersBridgedFrames(), filters);
  }
});

test("the host's own interface on a network keeps to itself", async (t) => {
  const at = (name: string): string => `ipv4/conf/weft-h1/${name}`;
  const found = {
    [at('forwarding')]: '1\n',
    [at('arp_ignore')]: '0\n',
    [at('arp_announce')]: '2\n',
  };
  const root = await fakeProc(t, found);
  const sysctl = new ProcSysctl(noExec, root);
  t.deepEqual(await sysctl.compareHostPort('weft-h1'), ['ipv4.forwarding', 'ipv4.arp_ignore']);
  await sysctl.makeHostPort('weft-h1');
  t.deepEqual(await sysctl.compareHostPort('weft-h1'), []);
  t.is((await readFile(join(root, at('arp_ignore')), 'utf8')).trim(), '1');
  t.deepEqual(await sysctl.compareHostPort('weft-h2'), [], 'one that is gone has none to compare');
  await t.throwsAsync(sysctl.makeHostPort('weft-h2'), { code: 'E_DEVICE_MISSING' });
});
