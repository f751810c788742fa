import test, { type ExecutionContext } from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { pick, randomInt } from '../../src/base/rng.ts';
import { addressesOf } from '../../src/network/endpoint.ts';
import { CUTS } from './mortal.ts';
import { RepairWorld, type RepairHost } from './repair-world.ts';
import { seedFor } from '../sim/seed.ts';

const SCHEDULES = 200;

/** What schedules brought about together: without moves and deaths they have proved little. */
interface Totals {
  endpoints: number;
  moved: number;
  deaths: number;
}

/** No address on two interfaces of one network, whoever died. */
function checkOnce(t: ExecutionContext, { hosts }: RepairWorld, seed: number): void {
  const places = hosts.flatMap(({ plugged }) => [...plugged.values()].flat());
  if (new Set(places).size !== places.length) t.fail(`SEED=${seed}: ${places.sort().join(', ')}`);
}

const planOf = (host: RepairHost) => host.parts.repairs.plan();

/** What would be decided; by whom an address was given is only told, and not known to all at once. */
function decisionsOf(host: RepairHost) {
  const { endpoints, ...rest } = planOf(host);
  return { ...rest, endpoints: endpoints.map((fate) => ({ ...fate, from: undefined })) };
}

/** Told by an operator; who read an older plan is refused. */
function decide(host: RepairHost, plan: string): void {
  try {
    if (host.isUp) host.parts.repairs.decide(plan);
  } catch (error) {
    if (!isAppError(error, 'E_PLAN_CHANGED')) throw error;
  }
}

const rowsOf = (host: RepairHost): string[] =>
  host.parts.directory
    .endpoints()
    .map((each) => `${each.id} ${each.network} ${addressesOf(each).join(' ')} ${each.host}`)
    .sort();

async function workApart(world: RepairWorld): Promise<void> {
  const { rng, hosts } = world;
  world.found(0, '10.7.0.0/26', pick(rng, [undefined, 'fd00:7::/120']));
  world.found(
    1,
    pick(rng, ['10.7.0.0/26', '10.7.0.0/24', '10.9.0.0/28']),
    pick(rng, [undefined, 'fd00:7::/120', 'fd00:9::/120']),
  );
  await world.pass(2_000);
  for (const [index, host] of hosts.entries()) {
    for (let count = 1 + randomInt(rng, 2); count > 0; count--) {
      const wanted = rng.next() < 0.4 ? `10.7.0.${2 + randomInt(rng, 5)}` : undefined;
      void host.attach(`${index}${count}`.padEnd(32, '0'), wanted);
    }
  }
  await world.pass(2_000);
}

/** Meanwhile a host that has none of the younger network gives out an address of the older. */
function attachMore({ rng, hosts, clock }: RepairWorld): void {
  const host = pick(rng, hosts);
  const isFree = host.isUp && host.own().every(({ network }) => network === 'blue');
  if (isFree) void host.attach(`f${String(clock.now()).padStart(31, '0')}`);
}

/** Several are told at once, some die over it and come back, some are cut off for a while. */
async function repairAmidTrouble(world: RepairWorld, look: () => void, totals: Totals) {
  const { rng, hosts } = world;
  const { plan } = planOf(pick(rng, hosts));
  for (const host of hosts) {
    if (rng.next() < 0.5)
      host.parts.life.doom({ at: 1 + randomInt(rng, 12), cut: pick(rng, CUTS) });
  }
  for (let told = 1 + randomInt(rng, hosts.length); told > 0; told--)
    decide(pick(rng, hosts), plan);
  for (let round = 0; round < 6; round++) {
    const dice = rng.next();
    if (dice < 0.3) world.split(() => randomInt(rng, 2));
    else if (dice < 0.6) world.split(() => 0);
    else if (dice < 0.8) attachMore(world);
    decide(pick(rng, hosts), plan);
    await world.pass(1_500 * rng.next(), look);
    for (const host of hosts.filter(({ isUp }) => !isUp)) {
      totals.deaths++;
      if (rng.next() < 0.6) host.start();
    }
  }
}

/** All is well again; somebody repairs what is left. */
async function settle(world: RepairWorld, look: () => void): Promise<void> {
  const { hosts } = world;
  world.split(() => 0);
  for (const host of hosts) {
    if (!host.isUp) host.start();
    host.parts.life.doom({ at: Infinity, cut: 'after' });
  }
  for (let round = 0; round < 12; round++) {
    await world.pass(3_000, look);
    const plans = hosts.map((host) => planOf(host).plan);
    const isDone =
      plans.every((plan) => plan === '') &&
      hosts.every((host) => host.own().every(({ network }) => network === 'blue')) &&
      hosts.every((host) => host.parts.tables.moves.entries().length === 0);
    if (isDone) return;
    decide(pick(world.rng, hosts), plans[0] ?? '');
  }
}

async function runSchedule(t: ExecutionContext, seed: number, totals: Totals): Promise<void> {
  const world = new RepairWorld(seed, [1 + (seed % 3), 1 + ((seed >>> 2) % 2)]);
  const { hosts, endpoints } = world;
  const look = (): void => checkOnce(t, world, seed);
  await workApart(world);
  const before = new Map(
    hosts.flatMap((host) => host.own()).map((each) => [each.id, each.address]),
  );
  world.split(() => 0);
  await world.pass(4_000, look);
  const [first] = hosts as [RepairHost];
  for (const host of hosts) {
    t.deepEqual(decisionsOf(host), decisionsOf(first), `SEED=${seed}: plans`);
  }

  await repairAmidTrouble(world, look, totals);
  await settle(world, look);
  await world.pass(2_000, look);
  for (const host of hosts) {
    t.deepEqual(rowsOf(host), rowsOf(first), `SEED=${seed}: rows of ${host.name}`);
    t.is(planOf(host).plan, '', `SEED=${seed}: ${host.name} has more to repair`);
    t.deepEqual(
      [...host.plugged].sort(),
      host
        .own()
        .map((each) => [each.id, addressesOf(each).map((one) => `${'1'.repeat(32)} ${one}`)])
        .sort(),
      `SEED=${seed}: interfaces of ${host.name}`,
    );
  }
  const rows = first.parts.directory.endpoints();
  t.deepEqual(rows.map(({ id }) => id).sort(), [...endpoints].sort(), `SEED=${seed}: endpoints`);
  t.true(
    rows.every(({ network }) => network === 'blue'),
    `SEED=${seed}`,
  );
  const families = first.parts.directory.network('blue')?.subnet6 === undefined ? 1 : 2;
  t.is(new Set(rows.flatMap(addressesOf)).size, families * rows.length, `SEED=${seed}`);
  totals.endpoints += rows.length;
  totals.moved += rows.filter(({ id, address }) => (before.get(id) ?? address) !== address).length;
  for (const host of hosts) host.kill();
}

test(`${SCHEDULES} random schedules: two meshes joined, planned alike, repaired from several hosts amid crashes`, async (t) => {
  const first = seedFor(t);
  const totals: Totals = { endpoints: 0, moved: 0, deaths: 0 };
  for (let index = 0; index < SCHEDULES; index++) await runSchedule(t, first + index, totals);
  t.log(
    `${totals.endpoints} endpoints, ${totals.moved} got another address, ${totals.deaths} deaths`,
  );
  t.true(totals.moved > SCHEDULES / 4 && totals.deaths > SCHEDULES / 4);
});
