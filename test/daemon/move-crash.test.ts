import test, { type ExecutionContext } from 'ava';
import { CUTS, type Death } from './mortal.ts';
import { checkKernel, plugged, without } from './mortal-checks.ts';
import { MortalHost, World } from './mortal-host.ts';

/*
 * Two hosts made a network `blue` each, and were joined. A repair moves the endpoints of the younger one's
 * host: one keeps its address, the other must get a new one, and a third stands on a network that stays.
 * The host is killed at each deed of that (a write to the disk, a change of the kernel), each cut off
 * before, within and after, dies again while it recovers, and is alone when it is up at last. Meanwhile
 * the other host gives out addresses, also the one that was to be kept.
 */

const sandbox = (name: string): string => `/run/netns/${name}`;
const MESH_PORT = 7783;
const KEPT = '10.7.0.5';

interface Pair {
  readonly world: World;
  /** Of the older network; it never dies. */
  readonly old: MortalHost;
  /** Whose endpoints move. */
  readonly young: MortalHost;
  readonly plan: string;
}

const attach = (host: MortalHost, network: string, name: string, ip?: string) =>
  host.run((control) =>
    control.attach({ network, netns: sandbox(name), ...(ip === undefined ? {} : { ip }) }),
  );

const make = (host: MortalHost, name: string, subnet: string, vni: number) =>
  host.run((control) => control.createNetwork({ name, subnet, vni }));

async function joined(seed: number): Promise<Pair> {
  const world = new World(seed);
  const old = new MortalHost('a', '192.0.2.1', world);
  const young = new MortalHost('b', '192.0.2.2', world);
  for (const name of ['first', 'next', 'rival']) old.addSandbox(sandbox(name));
  for (const name of ['web', 'db', 'aside']) young.addSandbox(sandbox(name));
  await old.start();
  await make(old, 'blue', '10.7.0.0/24', 42);
  await attach(old, 'blue', 'first', '10.7.0.2');
  await young.start();
  await make(young, 'blue', '10.7.0.0/24', 43);
  await make(young, 'red', '10.8.0.0/24', 44);
  await attach(young, 'blue', 'web', '10.7.0.2');
  await attach(young, 'blue', 'db', KEPT);
  await attach(young, 'red', 'aside', '10.8.0.2');
  await young.run((control) => control.join([old.address]));
  for (let round = 0; round < 100; round++) {
    await world.pass(200);
    const [plan, other] = [await planOf(young), await planOf(old)];
    if (plan !== '' && plan === other && round > 5) return { world, old, young, plan };
  }
  throw new Error('the hosts never had one plan');
}

const planOf = async (host: MortalHost): Promise<string> => (await host.control.ipamPlan()).plan;

const repair = (host: MortalHost, plan: string) => host.run((control) => control.ipamRepair(plan));

function setCut({ world, old, young }: Pair, isCut: boolean): void {
  const [here, there] = [old, young].map(({ address }) => ({ address, port: MESH_PORT }));
  if (here === undefined || there === undefined) throw new Error('there are two hosts');
  world.network.setCut(here, there, isCut);
  world.network.setCut(there, here, isCut);
}

/** No address is held twice in one network: by the kernels, which have but one subnet in common. */
async function checkOnce(t: ExecutionContext, { old, young }: Pair, what: string): Promise<void> {
  const held = [...(await plugged(old)), ...(await plugged(young))];
  t.is(new Set(held).size, held.length, `${what}: ${held.join(' ')}`);
}

const rowsOf = async (host: MortalHost): Promise<string[]> =>
  (await host.endpoints())
    .map(({ endpoint, network, address, host: on }) => `${endpoint} ${network} ${address} ${on}`)
    .sort();

async function dieAndReturn(t: ExecutionContext, death: Death, told: 'old' | 'young') {
  const what = `killed ${death.cut} deed ${death.at} of a repair told to the ${told}`;
  const pair = await joined(1);
  const { world, old, young, plan } = pair;
  const ids = (await young.endpoints()).map(({ endpoint }) => endpoint).sort();
  young.life.doom(death);
  const answer = repair(pair[told], plan);
  await world.until(Promise.race([young.life.over, world.pass(20_000)]));
  t.true(young.life.isOver, what);

  await attach(old, 'blue', 'rival', KEPT);
  await attach(old, 'blue', 'next');
  await young.start({ at: 1 + (death.at % 8), cut: death.cut });
  young.kill();
  setCut(pair, true);
  t.is(await young.start(), 'ready', what);
  await checkKernel(t, young, what);
  const alone = await young.endpoints();
  t.is(alone.filter(({ host }) => host === young.name).length, 3, what);

  setCut(pair, false);
  await world.until(answer);
  await world.pass(8_000);
  const more = await planOf(old);
  if (more !== '') await repair(old, more);
  await world.pass(12_000);
  await checkOnce(t, pair, `${what}, repaired`);
  for (const host of [old, young]) {
    await checkKernel(t, host, `${what}, repaired`);
    t.is(await planOf(host), '', what);
    t.deepEqual(
      await host.run((control) => control.ipamAudit()),
      { findings: [], isClean: true },
      what,
    );
    t.deepEqual((await host.control.status()).warnings.slice(1), [], what);
  }
  const rows = await rowsOf(young);
  t.deepEqual(rows, await rowsOf(old), what);
  const all = await young.endpoints();
  t.deepEqual(
    ids.filter((id) => !all.some(({ endpoint }) => endpoint === id)),
    [],
    what,
  );
  t.deepEqual(
    all
      .filter(({ host }) => host === young.name)
      .map(({ network }) => network)
      .sort(),
    ['blue', 'blue', 'red'],
    what,
  );
  for (const host of [old, young]) host.kill();
}

for (const [turn, told] of (['old', 'young'] as const).entries()) {
  test(`killed at every deed of a repair told to the ${told}, no endpoint is lost, doubled or between two networks`, async (t) => {
    const whole = await joined(1);
    const before = whole.young.life.deeds;
    await repair(whole[told], whole.plan);
    await whole.world.pass(3_000);
    await checkOnce(t, whole, 'without a crash');
    const deeds = whole.young.life.deeds - before;
    t.true((await whole.young.endpoints()).some(({ address }) => without(address) === KEPT));
    for (const host of [whole.old, whole.young]) host.kill();
    t.log(`${deeds} deeds`);
    for (let at = 1; at <= deeds; at++) {
      // The two tests share the cuts of each deed: a life takes a tenth of a second.
      for (const [index, cut] of CUTS.entries()) {
        if ((at + index) % 2 === turn) await dieAndReturn(t, { at, cut }, told);
      }
    }
  });
}
