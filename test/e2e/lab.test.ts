import { existsSync } from 'node:fs';
import test from 'ava';
import { LabProcess } from '../../bench/lib/process.ts';
import { openLab } from './lab.ts';

test('hosts on an underlay reach each other and carry data both ways', async (t) => {
  const lab = openLab(t, 'lab');
  const [first, second, third] = await lab.underlay(['h1', 'h2', 'h3']);
  if (!first || !second || !third) return t.fail('three hosts were asked for');
  const ping = await first.namespace.ping(third.address, { count: 5, bytes: 1400 });
  t.like(ping, { sent: 5, received: 5, duplicates: 0, lossPercent: 0 });
  t.is(ping.roundTripsMs.length, 5);
  t.deepEqual(new Set(ping.answeredBy), new Set([third.address]));
  t.is((await second.namespace.ping(first.address6, { count: 1 })).received, 1);
  t.is((await first.namespace.ping('192.0.2.99', { count: 1, waitSeconds: 1 })).received, 0);

  const tcp = await first.namespace.transferTo(second.namespace, { address: second.address });
  t.like(tcp, { bytes: 10_000_000, isIntact: true });
  const udp = await second.namespace.transferTo(first.namespace, {
    ...{ address: first.address, protocol: 'udp', bytes: 60_000 },
  });
  t.like(udp, { bytes: 60_000, isIntact: true });
  const iperf = await first.namespace.iperfTo(second.namespace, {
    ...{ address: second.address, seconds: 1 },
  });
  t.true(iperf.bitsPerSecond > 1e6);
});

test('destroy ends processes, also deaf ones, and deletes namespaces, twice too', async (t) => {
  const lab = openLab(t, 'lab');
  const namespace = await lab.namespace('x');
  const deaf = namespace.start('bash', [
    '-c',
    'trap "" TERM; echo ready; while :; do read; done <> <(:)',
  ]);
  await deaf.waitForLine(/ready/);
  deaf.signal('SIGTERM');
  t.true(deaf.isRunning);
  await lab.destroy();
  t.false(deaf.isRunning);
  t.false(existsSync(namespace.path));
  await lab.destroy();
});

test('what runs to its end ends with the lab', async (t) => {
  const lab = openLab(t, 'lab');
  const namespace = await lab.namespace('x');
  const running = namespace.tryRun('sleep', ['60'], { timeoutMs: 70_000 });
  await lab.destroy();
  t.is((await running).status, 137);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} removes everything before the process ends`, async (t) => {
    const program = new LabProcess(process.execPath, [
      ...['--input-type=module', '-e'],
      `import { Lab } from '${new URL('../../bench/lib/lab.js', import.meta.url).href}';
       const lab = new Lab('sig');
       const namespace = await lab.namespace('x');
       namespace.start('sleep', ['60']);
       console.log('made ' + namespace.path);
       setInterval(() => {}, 1000);`,
    ]);
    t.teardown(() => program.stop());
    const [, path = ''] = await program.waitForLine(/^made (.*)$/);
    t.true(existsSync(path));
    program.signal(signal);
    t.is(await program.exited, signal === 'SIGINT' ? 130 : 143);
    t.false(existsSync(path));
  });
}

test('a line that never comes rejects with what was said', async (t) => {
  const lab = openLab(t, 'lab');
  const program = lab.start('bash', ['-c', 'echo one; exit 3']);
  t.is(await program.exited, 3);
  await t.throwsAsync(program.waitForLine(/two/), { message: /no line .*ended[\s\S]*one/ });
  t.is((await program.waitForLine(/^o(n)e$/))[1], 'n');
});
