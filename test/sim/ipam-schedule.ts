import { pick, randomInt } from '../../src/base/rng.ts';
import { IpamWorld } from './ipam-world.ts';

/** What many schedules brought about together: a run that never revoked anybody has proved little. */
export interface Totals {
  schedules: number;
  addresses: number;
  revocations: number;
  versions: number;
}

const ACTIONS = 24;
const MEAN_PAUSE_MS = 350;
const CRASH_WITHIN_WRITES = 6;

/** One random schedule of a small mesh, drawn from `seed`; throws with the seed if an invariant breaks. */
export function runSchedule(seed: number, totals: Totals): void {
  const world = makeWorld(seed);
  for (const host of world.hosts.slice(0, world.options.founders)) world.start(host);
  for (let action = 0; action < ACTIONS; action++) {
    act(world);
    world.pass(2 * MEAN_PAUSE_MS * world.rng.next());
  }
  settle(world);
  totals.schedules++;
  totals.addresses += world.acknowledged;
  totals.revocations += world.revocations;
  totals.versions += world.newest?.version ?? 0;
}

function makeWorld(seed: number): IpamWorld {
  const draw = (seed * 2_654_435_761) >>> 0;
  const hosts = 2 + (draw % 5);
  return new IpamWorld({
    ...{ seed, hosts, founders: 1 + ((draw >>> 4) % Math.min(hosts, 5)) },
    size: [16n, 32n, 64n, 300n][(draw >>> 8) % 4] ?? 16n,
    ...{ leaseMs: 2_000, endpointLeaseMs: (draw >>> 12) % 4 === 0 ? 6_000 : 1e9 },
    loss: [0, 0.02, 0.1][(draw >>> 16) % 3] ?? 0,
    ...{ duplication: 0.05, drift: 0.03 },
  });
}

/** Something happens: mostly work, sometimes trouble. */
function act(world: IpamWorld): void {
  const { rng } = world;
  const [up, down] = [world.up(), world.down()];
  const dice = rng.next();
  const wanted = BigInt(1 + randomInt(rng, Number(world.options.size) - 2));
  if (up.length === 0 || (dice < 0.12 && down.length > 0)) {
    world.start(pick(rng, down));
    return;
  }
  const host = pick(rng, up);
  if (dice < 0.5) world.allocate(host);
  else if (dice < 0.6) world.allocate(host, wanted);
  else if (dice < 0.7) world.release(pick(rng, world.hosts));
  else if (dice < 0.76) world.crash(host);
  else if (dice < 0.82) world.crashSoon(host, randomInt(rng, CRASH_WITHIN_WRITES));
  else if (dice < 0.88) world.partition(() => randomInt(rng, 2));
  else if (dice < 0.94) world.partition(() => 0);
  else if (dice < 0.97) believeWrongly(world);
  else forgetOne(world);
}

/** An operator gives a host up, on one host or on two at once. */
function forgetOne(world: IpamWorld): void {
  for (const gone of world.down().slice(0, 1)) {
    for (const judge of world.up().slice(0, 2)) world.forget(judge, gone);
  }
}

/** Somebody holds a live host for dead, or a dead one for alive; or sees clearly again. */
function believeWrongly(world: IpamWorld): void {
  const host = pick(world.rng, world.hosts);
  const other = pick(world.rng, world.hosts);
  if (host.errors.size > 0 || host === other) host.errors.clear();
  else host.errors.add(other.id);
}

/** All is well again: now every host must be able to work. */
function settle(world: IpamWorld): void {
  world.partition(() => 0);
  for (const host of world.hosts) {
    host.errors.clear();
    host.writesLeft = Infinity;
    if (host.ipam === undefined) world.start(host);
  }
  world.pass(2 * world.options.leaseMs);
  world.checkRows();
}
