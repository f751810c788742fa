import test from 'ava';
import { readResidentBytes } from '../../bench/lib/proc.ts';
import { makeHosts } from './mesh.ts';

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
  const residentMib = readResidentBytes(pid) / MIB;
  t.log(`${residentMib.toFixed(1)} MiB`);
  t.true(residentMib <= 64, `${residentMib} MiB`);
});
