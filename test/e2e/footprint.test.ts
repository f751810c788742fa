import test from 'ava';
import { readResidentBytes } from '../../bench/lib/proc.ts';
import { eventually, makeHosts } from './mesh.ts';

const MIB = 2 ** 20;

test('an idle daemon with the native data plane has at most 64 MiB resident', async (t) => {
  const mesh = await makeHosts(t, 'small', ['a', 'b']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  await a.up();
  const web = await mesh.container('web');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await a.attach('blue', web, '10.7.0.2');
  const { pid } = await a.status();
  const residentMib = (): number => readResidentBytes(pid) / MIB;
  const busyMib = residentMib();
  t.true(busyMib <= 80, `${busyMib} MiB`);
  const idle = (): Promise<boolean> => Promise.resolve(residentMib() <= 64);
  await eventually(idle, 20_000);
  t.log(`${busyMib.toFixed(1)} MiB after an attachment, ${residentMib().toFixed(1)} MiB idle`);
});
