import test, { type ExecutionContext } from 'ava';
import type { Control } from '../../src/api/control.ts';
import { CUTS, type Death } from './mortal.ts';
import { checkKernel, plugged, without } from './mortal-checks.ts';
import { MortalHost, World } from './mortal-host.ts';

/*
 * A host lives through a history, is killed at one of its deeds (a write to the disk, a change of the
 * kernel), and starts again on the same disk and kernel. Every deed is tried, each cut off before,
 * within and after. Meanwhile somebody wants the addresses: the other host, or this one once it is back.
 */

const BLUE = 'blue';
const VTEP = '192.0.2.9';
const sandbox = (name: string): string => `/run/netns/${name}`;

const attach =
  (name: string, ip: string) =>
  (control: Control): Promise<unknown> =>
    control.attach({ network: BLUE, netns: sandbox(name), ip });
const detach =
  (name: string) =>
  (control: Control): Promise<unknown> =>
    control.detach({ network: BLUE, netns: sandbox(name) });

interface Step {
  /** What the command makes or takes away, and whether it is there after it. */
  readonly fact: string;
  readonly isThere: boolean;
  run(control: Control): Promise<unknown>;
}

const step = (fact: string, isThere: boolean, run: Step['run']): Step => ({ fact, isThere, run });

const HISTORY: readonly Step[] = [
  step('peer', true, (control) => control.join(['192.0.2.2'])),
  step('network blue', true, (control) =>
    control.createNetwork({ name: BLUE, subnet: '10.7.0.0/24', vni: 42, encap: 'vxlan' }),
  ),
  step('10.7.0.2', true, attach('web', '10.7.0.2')),
  step('10.7.0.3', true, attach('db', '10.7.0.3')),
  step('vtep', true, (control) => control.addVtep(BLUE, VTEP)),
  step('10.7.0.2', false, detach('web')),
  step('10.7.0.4', true, attach('web', '10.7.0.4')),
  step('network red', true, (control) =>
    control.createNetwork({ name: 'red', subnet: '10.8.0.0/24', vni: 43 }),
  ),
  step('vtep', false, (control) => control.removeVtep(BLUE, VTEP)),
  step('network red', false, (control) => control.removeNetwork('red')),
  step('10.7.0.3', false, detach('db')),
  step('10.7.0.4', false, detach('web')),
];
const ADDRESSES = ['10.7.0.2', '10.7.0.3', '10.7.0.4'] as const;

/** What was promised: true or false; a fact that a command was busy with when the host died is neither. */
type Ledger = Map<string, boolean>;

async function live(host: MortalHost): Promise<{ ledger: Ledger; open: Step | undefined }> {
  const ledger: Ledger = new Map();
  for (const each of HISTORY) {
    ledger.delete(each.fact);
    const answer = await host.run((control) => each.run(control));
    if (answer === 'dead') return { ledger, open: each };
    if (answer === 'refused') throw new Error(`${each.fact} was refused`);
    ledger.set(each.fact, each.isThere);
  }
  return { ledger, open: undefined };
}

async function makeHosts(seed: number) {
  const world = new World(seed);
  const [a, b] = [new MortalHost('a', '192.0.2.1', world), new MortalHost('b', '192.0.2.2', world)];
  for (const name of ['web', 'db', 'new']) a.addSandbox(sandbox(name));
  for (const address of ADDRESSES) b.addSandbox(sandbox(address));
  await b.start();
  return { world, a, b };
}

async function facts(host: MortalHost): Promise<Set<string>> {
  const [endpoints, networks] = [await host.endpoints(), await host.control.listNetworks()];
  const vteps = networks.some(({ name }) => name === BLUE)
    ? await host.control.listVteps(BLUE)
    : [];
  const all = [
    ...endpoints.map(({ address }) => without(address)),
    ...networks.map(({ name }) => `network ${name}`),
    ...vteps.filter(({ origin }) => origin === 'foreign').map(() => 'vtep'),
  ];
  return new Set(all.sort());
}

async function checkOnce(
  t: ExecutionContext,
  [a, b]: readonly [MortalHost, MortalHost],
  what: string,
): Promise<void> {
  const held = [...(await plugged(a)), ...(await plugged(b))];
  t.is(new Set(held).size, held.length, `${what}: ${held.join(' ')}`);
}

/** Who asks for the addresses while it is unclear who has them. */
type Rival = 'the other host' | 'the host itself';

async function dieAndReturn(t: ExecutionContext, death: Death, rival: Rival): Promise<void> {
  const what = `killed ${death.cut} deed ${death.at}, then ${rival}`;
  const { world, a, b } = await makeHosts(death.at);
  const isBorn = (await a.start(death)) === 'ready';
  const { ledger, open } = isBorn
    ? await live(a)
    : { ledger: new Map() as Ledger, open: undefined };
  a.kill();
  await world.pass(100);
  if (rival === 'the other host') {
    for (const ip of ADDRESSES) {
      await b.run((control) => control.attach({ network: BLUE, netns: sandbox(ip), ip }));
    }
  }
  // It dies again while it recovers: at another place each time.
  await a.start({ at: 1 + (death.at % 8), cut: death.cut });
  a.kill();
  // Alone at first: what it needs to know it must know by itself.
  const addresses = [a, b].map(({ address }) => ({ address, port: 7783 })) as [
    { address: string; port: number },
    { address: string; port: number },
  ];
  const [here, there] = addresses;
  world.network.setCut(here, there, true);
  world.network.setCut(there, here, true);
  t.is(await a.start(), 'ready', what);
  await checkOnce(t, [a, b], what);
  await checkKernel(t, a, what);
  const own = await facts(a);
  for (const [fact, isThere] of ledger) {
    if (fact !== 'peer') t.is(own.has(fact), isThere, `${what}: ${fact} after the start`);
  }
  if (rival === 'the host itself' && open?.isThere === true && own.has('network blue')) {
    await a.run((control) =>
      control.attach({ network: BLUE, netns: sandbox('new'), ip: open.fact }),
    );
  }

  world.network.setCut(here, there, false);
  world.network.setCut(there, here, false);
  if (ledger.get('peer') !== true) await a.run((control) => control.join([b.address]));
  await world.pass(12_000);
  await checkOnce(t, [a, b], `${what}, reunited`);
  for (const host of [a, b]) await checkKernel(t, host, `${what}, reunited`);
  t.deepEqual(await facts(a), await facts(b), `${what}, reunited`);
  t.deepEqual((await a.control.status()).warnings.slice(1), [], `${what}, reunited`);
  for (const host of [a, b]) host.kill();
}

test('a history without a crash leaves nothing behind', async (t) => {
  const { world, a, b } = await makeHosts(1);
  await a.start();
  const { ledger } = await live(a);
  await world.pass(1000);
  t.deepEqual(await a.links(), []);
  t.deepEqual([...(await facts(b))], ['network blue']);
  t.true(ledger.get('peer'));
  t.log(`${a.life.deeds} deeds`);
  for (const host of [a, b]) host.kill();
});

for (const rival of ['the other host', 'the host itself'] as const) {
  test(`killed at every deed, a host loses nothing acknowledged and shares no address with ${rival}`, async (t) => {
    const whole = await makeHosts(1);
    await whole.a.start();
    await live(whole.a);
    const { deeds } = whole.a.life;
    for (const host of [whole.a, whole.b]) host.kill();
    for (let at = 1; at <= deeds; at++) {
      for (const cut of CUTS) await dieAndReturn(t, { at, cut }, rival);
    }
  });
}
