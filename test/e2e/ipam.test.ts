import test from 'ava';
import { startMesh } from './mesh.ts';
import type { EndpointInfo } from '../../src/api/control.ts';

test('addresses are chosen on every host, all different', async (t) => {
  const mesh = await startMesh(t, 'ipam', ['a', 'b', 'c']);
  const [a] = mesh.hosts;
  await a?.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  const seen = new Set<string>();
  for (const [index, host] of mesh.hosts.entries()) {
    for (let count = 0; count < 3; count++) {
      const container = await mesh.container(`c${index}${count}`);
      const started = performance.now();
      const info = await host.json<EndpointInfo>('attach', 'blue', '--netns', container.name);
      t.log(info.address, performance.now() - started);
      seen.add(info.address);
    }
  }
  t.is(seen.size, 9);
  t.log(await a?.weft('ipam', 'status'));
});
