import test from 'ava';
import { randomHex, randomInt, seededRng } from '../../src/base/rng.ts';
import { asPeerId, type PeerId } from '../../src/base/types.ts';
import { distancesTo, isBroken, relaysTo, type Topology } from '../../src/link/routes.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env['ROUNDS'] ?? 200);

function exceptionsOf(pairs: readonly (readonly [PeerId, PeerId])[]): Map<PeerId, Set<PeerId>> {
  const exceptions = new Map<PeerId, Set<PeerId>>();
  for (const [one, other] of pairs) {
    exceptions.set(one, (exceptions.get(one) ?? new Set()).add(other));
  }
  return exceptions;
}

/** Hosts in a line, of which only neighbours reach each other. */
function line(count: number): Topology {
  const hosts = Array.from({ length: count }, (_, index) => asPeerId(String(index).repeat(32)));
  const pairs = hosts.flatMap((one, index) =>
    hosts.slice(index + 2).map((other) => [one, other] as const),
  );
  return { self: hosts[0] as PeerId, hosts, exceptions: exceptionsOf(pairs) };
}

/** Goes hop by hop as every host would send it on by itself; undefined: it gets nowhere. */
function walk(topology: Topology, target: PeerId): number | undefined {
  let at = topology.self;
  for (let hops = 0; hops <= topology.hosts.length; hops++) {
    if (at === target) return hops;
    const here = { ...topology, self: at };
    const next = isBroken(here, at, target) ? relaysTo(here, target, () => false)[0] : target;
    if (next === undefined || isBroken(here, at, next)) return undefined;
    at = next;
  }
  return undefined;
}

test('in a line of five the ends are four hops apart, and each hop is known', (t) => {
  const topology = line(5);
  const [a, b, c, , e] = topology.hosts as [PeerId, PeerId, PeerId, PeerId, PeerId];
  t.is(distancesTo(topology, e).get(a), 4);
  t.deepEqual(
    relaysTo(topology, e, () => false),
    [b],
  );
  t.deepEqual(
    relaysTo(topology, c, () => false),
    [b],
  );
  t.deepEqual(
    relaysTo(topology, b, () => false),
    [],
    'a neighbour needs no relay',
  );
  t.is(walk(topology, e), 4);
  const without = { ...topology, hosts: topology.hosts.filter((host) => host !== c) };
  t.deepEqual(
    relaysTo(without, e, () => false),
    [],
    'who is cut off has no way',
  );
});

test('ways are the shortest there are, and free of loops, whatever is broken', (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const rng = seededRng(seed + round);
    const hosts = Array.from({ length: 2 + randomInt(rng, 12) }, () =>
      asPeerId(randomHex(rng, 32)),
    );
    const pairs = hosts.flatMap((one) =>
      hosts
        .filter((other) => other !== one && rng.next() < 0.45)
        .map((other) => [one, other] as const),
    );
    const topology = { self: hosts[0] as PeerId, hosts, exceptions: exceptionsOf(pairs) };
    const oracle = bellmanFord(topology);
    for (const target of hosts.slice(1)) {
      t.is(walk(topology, target), oracle.get(target), `seed ${seed + round}`);
    }
  }
});

/** Shortest ways from the topology's own host, by trying again and again. */
function bellmanFord(topology: Topology): Map<PeerId, number> {
  const best = new Map([[topology.self, 0]]);
  for (let round = 0; round < topology.hosts.length; round++) {
    for (const one of topology.hosts) {
      for (const other of topology.hosts) {
        const so = best.get(one);
        if (so === undefined || one === other || isBroken(topology, one, other)) continue;
        if (so + 1 < (best.get(other) ?? Infinity)) best.set(other, so + 1);
      }
    }
  }
  return best;
}

test('relays that are known to be reached go first; the others take turns from pair to pair', (t) => {
  const rng = seededRng(seed);
  const hosts = Array.from({ length: 40 }, () => asPeerId(randomHex(rng, 32)));
  const [self, ...others] = hosts as [PeerId, ...PeerId[]];
  const chosen = new Set<PeerId | undefined>();
  for (const target of others.slice(0, 20)) {
    const exceptions = exceptionsOf([[target, self]]);
    const topology = { self, hosts, exceptions };
    const relays = relaysTo(topology, target, () => false);
    t.is(relays.length, 38);
    chosen.add(relays[0]);
    const back = relaysTo({ ...topology, self: target }, self, () => false);
    t.deepEqual(back, relays, 'both ends take the same one');
    const proven = relays.at(-1);
    t.is(relaysTo(topology, target, (host) => host === proven)[0], proven);
  }
  t.true(chosen.size > 8, `${chosen.size} of 20`);
});

test('a thousand hosts and a hundred broken pairs take milliseconds', (t) => {
  const rng = seededRng(seed);
  const hosts = Array.from({ length: 1000 }, () => asPeerId(randomHex(rng, 32)));
  const [self] = hosts as [PeerId];
  const pairs = hosts.slice(1, 101).map((other) => [self, other] as const);
  const topology = { self, hosts, exceptions: exceptionsOf(pairs) };
  const { user } = process.cpuUsage();
  for (const [, target] of pairs) t.is(relaysTo(topology, target, () => false).length, 899);
  const spent = (process.cpuUsage().user - user) / 1000 / pairs.length;
  t.true(spent < 20, `${spent.toFixed(1)} ms each`);
});
