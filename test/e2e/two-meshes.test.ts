import test from 'ava';
import { eventually, makeHosts, waitForPeers, type WeftHost } from './mesh.ts';

const create = (host: WeftHost, name: string, vni: string, subnet: string): Promise<string> =>
  host.weft('network', 'create', name, '--subnet', subnet, '--vni', vni);

test('two meshes that clash and are joined later: each clash is told on both hosts, nothing is mixed', async (t) => {
  const mesh = await makeHosts(t, 'clash', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const [shop, till] = [await mesh.container('shop'), await mesh.container('till')];
  for (const host of [a, b]) await host.up();
  // One name with two subnets, one VNI with two names, one address twice.
  await create(a, 'blue', '42', '10.7.0.0/24');
  await create(a, 'left', '8', '10.8.0.0/24');
  await a.attach('blue', web, '10.7.0.2');
  await a.attach('left', shop, '10.8.0.2');
  await create(b, 'blue', '42', '10.7.0.0/16');
  await create(b, 'right', '8', '10.9.0.0/24');
  await b.attach('blue', db, '10.7.0.2');
  await b.attach('right', till, '10.9.0.2');

  await b.weft('join', a.host.address);
  await Promise.all([a, b].map((host) => waitForPeers(host, 2, 20_000)));
  const sentences = [
    /^Network right is not carried: its VNI 8 belongs to the older network left; /,
    /^Address 10\.7\.0\.2\/\d+ of network blue is held twice, by endpoint .* on [ab] and .* on [ab]; /,
  ];
  for (const host of [a, b]) {
    const told = async (): Promise<boolean> => {
      const { warnings } = await host.status();
      return sentences.every((sentence) => warnings.some((warning) => sentence.test(warning)));
    };
    await eventually(told, 20_000).catch(async (cause: unknown) => {
      throw new Error((await host.status()).warnings.join('\n'), { cause });
    });
  }
  // The younger of the two with VNI 8 is nowhere carried: its container hears nobody of the other.
  t.false(await till.answers('10.8.0.2', { waitSeconds: 0.3 }));
  t.regex(
    (await b.tryWeft('attach', 'right', '--netns', db.name, '--ifname', 'eth1', '--ip', '10.9.0.3'))
      .stderr,
    /right.*VNI 8.*left/,
  );
  // Removed as it is told, the rest is one mesh.
  await b.weft('detach', 'right', '--netns', till.name);
  await b.weft('network', 'rm', 'right');
  await eventually(
    async () => !(await a.status()).warnings.some((warning) => warning.includes('right')),
    20_000,
  );
});
