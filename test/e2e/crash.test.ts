import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo, NetworkDetail } from '../../src/api/control.ts';
import { seededRng } from '../../src/base/rng.ts';
import { attachPair, eventually, makeHosts, type WeftHost, upJoined } from './mesh.ts';

const ROUNDS = 20;
/** Longer than an attach or detach takes here, so that some of them get through. */
const LONGEST_LIFE_MS = 600;
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

const rng = seededRng(seed);

/** What a command promised in its answer; nothing if the daemon died over it. */
type Promised = 'attached' | 'detached' | 'nothing';

async function wish(host: WeftHost, sandbox: LabNamespace, address: string): Promise<Promised> {
  const isDetach = rng.next() < 0.4;
  const { status } = isDetach
    ? await host.tryWeft('detach', 'blue', '--netns', sandbox.name)
    : await host.tryWeft('attach', 'blue', '--netns', sandbox.name, '--ip', address);
  if (status === 0) return isDetach ? 'detached' : 'attached';
  return 'nothing';
}

async function attachedOn(host: WeftHost): Promise<EndpointInfo[]> {
  return [...(await host.json<NetworkDetail>('network', 'inspect', 'blue')).attached];
}

/** Names of the veths of the host but its underlay's. */
async function veths({ namespace }: WeftHost): Promise<string[]> {
  const links = (await namespace.ipJson('link show type veth')) as { ifname?: string }[];
  return links.flatMap(({ ifname = 'u0' }) => (ifname === 'u0' ? [] : [ifname])).sort();
}

test(`killed in the middle of attach and detach, ${ROUNDS} times (SEED=${seed}): nothing is lost, doubled or left`, async (t) => {
  const mesh = await makeHosts(t, 'crash', ['a', 'b']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  const sandboxes = [await mesh.container('one'), await mesh.container('two')] as const;
  await a.up();
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42');
  let cutOff = 0;
  const promised = new Map<LabNamespace, Promised>();
  for (let round = 0; round < ROUNDS; round++) {
    const wishes = sandboxes.map(async (sandbox, index) => {
      // Known until the command is sent; then only its answer is.
      promised.delete(sandbox);
      promised.set(sandbox, await wish(a, sandbox, `10.7.0.${index + 2}`));
    });
    const lifeMs = rng.next() * LONGEST_LIFE_MS;
    await new Promise((resolve) => setTimeout(resolve, lifeMs));
    await a.kill();
    await Promise.all(wishes);
    await a.up();

    const endpoints = await attachedOn(a);
    for (const [index, sandbox] of sandboxes.entries()) {
      const here = endpoints.filter((endpoint) => endpoint.sandbox === sandbox.path);
      t.true(here.length <= 1);
      const answer = promised.get(sandbox) ?? 'nothing';
      if (answer === 'nothing') cutOff++;
      else t.is(here.length, answer === 'attached' ? 1 : 0, `round ${round}: ${answer}`);
      const inside = (await sandbox.ip('-br addr show')).includes(`10.7.0.${index + 2}/24`);
      t.is(inside, here.length === 1, `round ${round}: the address inside`);
    }
    t.deepEqual(
      await veths(a),
      endpoints.map(({ endpoint }) => `wv${endpoint.slice(0, 12)}`).sort(),
      `round ${round}`,
    );
  }
  t.log(`${cutOff} of ${2 * ROUNDS} commands were cut off or refused`);
  t.true(cutOff > 0);
});

test('a state file cut short: told while the daemon runs and forwards, and told by a start that refuses it', async (t) => {
  const mesh = await makeHosts(t, 'cutfile', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up();
  await upJoined(b, a);
  const web = await attachPair(mesh, [a, b]);
  await eventually(() => web.answers('10.7.0.3'), 20_000);

  const file = join(a.stateDirectory, 'state.mdb');
  truncateSync(file, 5000);
  const refused = await a.tryWeft('detach', 'blue', '--netns', web.name);
  t.is(refused.status, 1);
  t.regex(refused.stderr, /^weft: The state directory can't be written \(.*was cut from.*\n$/);
  t.true((await web.ping('10.7.0.3')).received > 0);
  await b.weft('network', 'create', 'red', '--subnet', '10.8.0.0/24');
  const tells = async (): Promise<boolean> =>
    (await a.status()).warnings.some((warning) => warning.includes('was cut from'));
  await eventually(tells, 20_000);
  t.true(await web.answers('10.7.0.3'));
  t.is(await a.daemon?.stop(), 0);

  const again = await a.tryWeft('up', '--state-dir', a.stateDirectory);
  t.is(again.status, 1);
  t.regex(again.stderr, /^weft: The file .*state\.mdb is no state of Weft, or damaged: .*\n$/);
  t.is(statSync(file).size, 5000, 'the file is left as it was');
  t.regex(await web.ip('-br addr show eth0'), /10\.7\.0\.2\/24/);
});
