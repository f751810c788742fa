import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Lab } from '../../bench/lib/lab.ts';
import type { LockReport } from './fast-path-lock-program.ts';

const PROGRAM = fileURLToPath(new URL('./fast-path-lock-program.js', import.meta.url));
const TIMES = 20;
const LIMIT_MS = 60_000;
/** Makes and deletes interfaces: who does that holds the kernel's lock on links most of the time. */
const CHURN = 'while ip link add c0 type veth peer name c1; do ip link del c0; done';

// The calls themselves are timed, not the event loop: that a busy machine lets it wait is no finding here.
test('taking an interface into the fast path does not hold the event loop while links change', async (t) => {
  const lab = new Lab('fplk');
  t.teardown(() => lab.destroy());
  const [host, box] = [await lab.namespace('host'), await lab.namespace('box')];
  const busy = await lab.namespace('busy');
  await lab.link([host, 'wv1'], [box, 'eth0'], { mtu: 1450 });
  busy.start('sh', ['-c', CHURN]);
  const program = host.start(process.execPath, [PROGRAM, 'wv1', String(TIMES)]);
  const [line] = await program.waitForLine(/^\{.*\}$/, LIMIT_MS);
  const { held, waited, description } = JSON.parse(line) as LockReport;
  t.log(`held ${held.toFixed(1)} ms, waited ${waited.toFixed(1)} ms`);
  t.regex(description, /1 endpoint, /);
  t.true(waited > 20, 'the kernel had to be waited for');
  t.true(held < waited / 5, `${held} ms of ${waited} ms held the event loop`);
});
