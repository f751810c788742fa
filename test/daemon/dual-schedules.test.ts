import test, { type ExecutionContext } from 'ava';
import { pick, randomInt } from '../../src/base/rng.ts';
import { addressesOf } from '../../src/network/endpoint.ts';
import { seedFor } from '../sim/seed.ts';
import { CUTS } from './mortal.ts';
import { RepairWorld, type RepairHost } from './repair-world.ts';

/*
 * Hosts attach to one network with two subnets and detach, die in the middle of it and come back, are cut
 * off and meet again. The daemon's own tables, journal and division of addresses; a kernel of which only
 * interfaces and their addresses are left.
 */

const SCHEDULES = 200;
const ACTIONS = 20;

interface Totals {
  endpoints: number;
  deaths: number;
}

/** No address of either family on two interfaces, and no interface with one alone. */
function checkOnce(t: ExecutionContext, { hosts }: RepairWorld, seed: number): void {
  const interfaces = hosts.flatMap(({ plugged }) => [...plugged.values()]);
  const places = interfaces.flat();
  const isHalf = interfaces.some((addresses) => addresses.length !== 2);
  if (isHalf || new Set(places).size !== places.length) {
    t.fail(`SEED=${seed}: ${places.sort().join(', ')}`);
  }
}

function act(world: RepairWorld, count: number, totals: Totals): void {
  const { rng, hosts } = world;
  const host = pick(rng, hosts);
  if (!host.isUp) {
    if (rng.next() < 0.7) host.start();
    return;
  }
  const dice = rng.next();
  const own = host.own();
  if (dice < 0.5) {
    const [ip, ip6] = [wanted(world, '10.7.0.'), wanted(world, 'fd00:7::')];
    void host.attach(`${count}`.padStart(32, '0'), ip, ip6);
  } else if (dice < 0.7 && own.length > 0) void host.detach(pick(rng, own));
  else if (dice < 0.8) world.split(() => randomInt(rng, 2));
  else if (dice < 0.9) world.split(() => 0);
  else {
    totals.deaths++;
    host.parts.life.doom({ at: 1 + randomInt(rng, 4), cut: pick(rng, CUTS) });
  }
}

/** Few addresses, so that hosts want the same. */
function wanted({ rng }: RepairWorld, prefix: string): string | undefined {
  return rng.next() < 0.3 ? `${prefix}${2 + randomInt(rng, 4)}` : undefined;
}

async function settle(t: ExecutionContext, world: RepairWorld, look: () => void): Promise<void> {
  world.split(() => 0);
  for (const host of world.hosts) {
    if (!host.isUp) host.start();
    host.parts.life.doom({ at: Infinity, cut: 'after' });
  }
  await world.pass(40_000, look);
  t.true(world.hosts.every(({ isUp }) => isUp));
}

const rowsOf = (host: RepairHost): string[] =>
  host.parts.directory
    .endpoints()
    .map((each) => `${each.id} ${addressesOf(each).join(' ')} ${each.host}`)
    .sort();

/** Every host's books hold what its rows say, of each pool the same number. */
function checkBooks(t: ExecutionContext, host: RepairHost, seed: number): void {
  const held = host.parts.addresses.pools().map(({ holding }) => holding.book.held.size);
  const own = host.own().length;
  t.deepEqual(held, [own, own], `SEED=${seed}: ${host.name}`);
}

async function runSchedule(t: ExecutionContext, seed: number, totals: Totals): Promise<void> {
  const world = new RepairWorld(seed, [2 + (seed % 3), 0]);
  const look = (): void => checkOnce(t, world, seed);
  world.found(0, '10.7.0.0/26', pick(world.rng, ['fd00:7::/64', 'fd00:7::/122']));
  await world.pass(2_000);
  for (let action = 0; action < ACTIONS; action++) {
    act(world, action, totals);
    await world.pass(800 * world.rng.next(), look);
  }
  await settle(t, world, look);
  const [first] = world.hosts as [RepairHost];
  for (const host of world.hosts) {
    t.deepEqual(rowsOf(host), rowsOf(first), `SEED=${seed}: rows of ${host.name}`);
    checkBooks(t, host, seed);
  }
  const rows = first.parts.directory.endpoints();
  t.is(new Set(rows.flatMap(addressesOf)).size, 2 * rows.length, `SEED=${seed}`);
  totals.endpoints += rows.length;
  for (const host of world.hosts) host.kill();
}

test(`${SCHEDULES} random schedules with two pools: both addresses or none, and none of either twice`, async (t) => {
  const first = seedFor(t);
  const totals: Totals = { endpoints: 0, deaths: 0 };
  for (let index = 0; index < SCHEDULES; index++) await runSchedule(t, first + index, totals);
  t.log(`${totals.endpoints} endpoints left, ${totals.deaths} deaths`);
  t.true(totals.endpoints > SCHEDULES && totals.deaths > SCHEDULES / 2);
});
