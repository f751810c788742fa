import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { TestMesh } from './mesh.ts';

/** A namespace behind the hosts' uplinks, which has no way back to addresses of containers. */
export async function internet(mesh: TestMesh): Promise<LabNamespace> {
  const outside = await mesh.lab.namespace('internet');
  await outside.ip('addr add 203.0.113.1/32 dev lo');
  await outside.ip('addr add 2001:db8:ffff::1/128 dev lo nodad');
  for (const [index, { namespace }] of mesh.hosts.entries()) {
    const [near, far] = [index * 4 + 1, index * 4 + 2].map((last) => `198.51.100.${last}`);
    const [near6, far6] = ['1', '2'].map((last) => `2001:db8:${index + 1}::${last}`);
    await mesh.lab.link([namespace, 'inet0'], [outside, `h${index}`]);
    await namespace.ip(`addr add ${near}/30 dev inet0`);
    await outside.ip(`addr add ${far}/30 dev h${index}`);
    await namespace.ip(`addr add ${near6}/64 dev inet0 nodad`);
    await outside.ip(`addr add ${far6}/64 dev h${index} nodad`);
    await namespace.ip(`route add default via ${far} dev inet0`);
    await namespace.ip(`-6 route add default via ${far6} dev inet0`);
  }
  return outside;
}
