import test, { type ExecutionContext } from 'ava';
import type { Control, EndpointInfo } from '../../src/api/control.ts';
import { CUTS, type Death } from './mortal.ts';
import { allOf, checkKernel, plugged } from './mortal-checks.ts';
import { MortalHost, World } from './mortal-host.ts';

/*
 * A daemon lives through a history on a network with two subnets, is killed at each of its deeds, and
 * starts again, alone at first. Meanwhile the other host wants each address that there was, in new pairs.
 */

const WEB = '/run/netns/web';
const RIVALS = ['/run/netns/one', '/run/netns/two'] as const;
const [FIRST, SECOND] = [
  ['10.7.0.2', 'fd00:7::2'],
  ['10.7.0.3', 'fd00:7::3'],
] as const;

const attach =
  (netns: string, [ip, ip6]: readonly [string, string]) =>
  (control: Control): Promise<unknown> =>
    control.attach({ network: 'blue', netns, ip, ip6 });

interface Step {
  /** What the sandbox has once the step is done. */
  readonly addresses: readonly string[];
  readonly run: (control: Control) => Promise<unknown>;
}

const HISTORY: readonly Step[] = [
  { addresses: FIRST, run: attach(WEB, FIRST) },
  { addresses: [], run: (control) => control.detach({ network: 'blue', netns: WEB }) },
  { addresses: SECOND, run: attach(WEB, SECOND) },
];

async function joined(seed: number) {
  const world = new World(seed);
  const [a, b] = [new MortalHost('a', '192.0.2.1', world), new MortalHost('b', '192.0.2.2', world)];
  a.addSandbox(WEB);
  for (const path of RIVALS) b.addSandbox(path);
  await b.start();
  await a.start();
  await a.run((control) => control.join(['192.0.2.2']));
  await world.pass(1_000);
  await a.run((control) =>
    control.createNetwork({
      ...{ name: 'blue', subnet: '10.7.0.0/24', subnet6: 'fd00:7::/64', vni: 42 },
    }),
  );
  await world.pass(1_000);
  return { world, a, b };
}

/** What a host was told that it has, or undefined if it died over a step. */
async function live(host: MortalHost): Promise<readonly string[] | undefined> {
  let held: readonly string[] = [];
  for (const { addresses, run } of HISTORY) {
    const answer = await host.run(run);
    if (answer === 'dead') return undefined;
    if (answer === 'refused') throw new Error(`${addresses.join()} was refused`);
    held = addresses;
  }
  return held;
}

const own = async (host: MortalHost): Promise<EndpointInfo[]> =>
  (await host.endpoints()).filter((endpoint) => endpoint.host === host.name);

async function dieAndReturn(t: ExecutionContext, death: Death): Promise<void> {
  const what = `killed ${death.cut} deed ${death.at}`;
  const { world, a, b } = await joined(death.at);
  a.life.doom(death);
  const told = await live(a);
  a.kill();
  await world.pass(100);
  // Each pair is half one endpoint's and half another's.
  await b.run(attach(RIVALS[0], [FIRST[0], SECOND[1]]));
  await b.run(attach(RIVALS[1], [SECOND[0], FIRST[1]]));
  await a.start({ at: 1 + (death.at % 8), cut: death.cut });
  a.kill();
  const [here, there] = [a, b].map(({ address }) => ({ address, port: 7783 })) as [
    { address: string; port: number },
    { address: string; port: number },
  ];
  for (const [from, to] of [
    [here, there],
    [there, here],
  ] as const) {
    world.network.setCut(from, to, true);
  }
  t.is(await a.start(), 'ready', what);
  await checkKernel(t, a, what);
  const alone = (await own(a)).map(allOf);
  if (told !== undefined) t.deepEqual(alone, told.length === 0 ? [] : [[...told]], what);
  for (const addresses of alone) t.is(addresses.length, 2, what);

  world.network.setCut(here, there, false);
  world.network.setCut(there, here, false);
  await world.pass(12_000);
  for (const host of [a, b]) await checkKernel(t, host, `${what}, reunited`);
  const held = [...(await plugged(a)), ...(await plugged(b))];
  t.is(new Set(held).size, held.length, `${what}: ${held.join(' ')}`);
  t.is(held.length % 2, 0, `${what}: ${held.join(' ')}`);
  t.deepEqual((await a.control.status()).warnings.slice(1), [], what);
  const findings = await a.run((control) => control.ipamAudit());
  t.deepEqual(findings, { findings: [], isClean: true }, what);
  for (const host of [a, b]) host.kill();
}

test('killed at every deed, a host has both addresses of an endpoint or neither, and shares none', async (t) => {
  const whole = await joined(1);
  const before = whole.a.life.deeds;
  t.deepEqual(await live(whole.a), SECOND);
  const deeds = whole.a.life.deeds - before;
  for (const host of [whole.a, whole.b]) host.kill();
  for (let at = 1; at <= deeds; at++) for (const cut of CUTS) await dieAndReturn(t, { at, cut });
  t.log(`${deeds} deeds`);
});
