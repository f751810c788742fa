import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import { presets } from '../../src/gossip/config.ts';
import { Cluster, LOSSY, PERFECT, type SimHost } from './cluster.ts';
import { seedFor } from './seed.ts';

/** kill -9 must be known to all within this, whatever the size of a small mesh. */
const DETECTION_MS = 10_000;

for (const count of [2, 50, 200]) {
  test(`${count} hosts that join one of them all come to know each other`, (t) => {
    const seed = seedFor(t);
    const cluster = new Cluster({ seed });
    const hosts = Array.from({ length: count }, () => cluster.add());
    for (const host of hosts.slice(1)) host.join(hosts[0] as SimHost);
    const took = cluster.runUntil(() => cluster.isConverged(), 10_000);
    t.log(`all knew all after ${Math.round(took)} ms`);
    t.true(took < 3000);
    t.true(hosts.slice(1).every(({ joins }) => joins[0]?.ok));
  });
}

test('a host that joins a mesh of 50 is known to all in a second', (t) => {
  const cluster = new Cluster({ seed: seedFor(t), network: LOSSY });
  const [first] = cluster.mesh(50);
  const newcomer = cluster.add();
  newcomer.join(first as SimHost);
  const took = cluster.runUntil(() => cluster.isSeen(newcomer, 'alive'), 10_000);
  t.log(`${Math.round(took)} ms`);
  t.true(took < 1500);
});

for (const count of [2, 3, 4, 5, 10]) {
  test(`kill -9 of one of ${count} hosts is seen by all in time`, (t) => {
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      const cluster = new Cluster({ seed: seedFor(t, round) });
      const hosts = cluster.mesh(count);
      cluster.run(cluster.rng.next() * 5000);
      const victim = hosts[round % count] as SimHost;
      cluster.kill(victim);
      times.push(cluster.runUntil(() => cluster.isSeen(victim, 'dead'), 30_000));
    }
    t.log(times.map((time) => (time / 1000).toFixed(1)).join(' '));
    t.true(Math.max(...times) <= DETECTION_MS);
  });
}

test('of 10 hosts 4 killed at once are seen dead by all in time', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const victims = cluster.mesh(10).slice(3, 7);
  for (const victim of victims) cluster.kill(victim);
  const took = cluster.runUntil(
    () => victims.every((victim) => cluster.isSeen(victim, 'dead')),
    60_000,
  );
  t.log(`${Math.round(took)} ms`);
  t.true(took <= 15_000);
});

test('3 hosts: the second death is seen when only two remain', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [, second, third] = cluster.mesh(3) as [SimHost, SimHost, SimHost];
  cluster.kill(third);
  t.true(cluster.runUntil(() => cluster.isSeen(third, 'dead'), 30_000) <= DETECTION_MS);
  cluster.kill(second);
  t.true(cluster.runUntil(() => cluster.isSeen(second, 'dead'), 30_000) <= DETECTION_MS);
});

for (const count of [2, 3, 30]) {
  test(`${count} hosts under 5 % loss for 5 minutes: nobody is declared dead falsely`, (t) => {
    const cluster = new Cluster({ seed: seedFor(t), network: LOSSY });
    cluster.mesh(count);
    cluster.run(5 * 60_000);
    t.is(cluster.falseDeaths().length, 0);
    t.true(cluster.isConverged());
  });
}

test('a suspicion is refuted by a higher incarnation', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(5);
  const victim = hosts[2] as SimHost;
  cluster.partition(
    [victim],
    hosts.filter((host) => host !== victim),
  );
  const isSuspected = (): boolean => hosts.some((host) => host.view(victim) === 'suspect');
  t.true(cluster.runUntil(isSuspected, 20_000) < 20_000);
  cluster.heal();
  t.true(cluster.runUntil(() => cluster.isConverged(), 20_000) < 3000);
  t.is(cluster.falseDeaths().length, 0);
  t.true(victim.machine.self.incarnation > 0);
  t.true((victim.machine.counters()['refutations'] ?? 0) > 0);
});

for (const [name, sides] of [
  ['a cut between two hosts', [1, 1]],
  ['a cut through the middle of 20 hosts', [10, 10]],
  ['one host cut from 9', [1, 9]],
] as const) {
  test(`${name}: both sides come back by themselves`, (t) => {
    const cluster = new Cluster({ seed: seedFor(t) });
    const hosts = cluster.mesh(sides[0] + sides[1]);
    const [left, right] = [hosts.slice(0, sides[0]), hosts.slice(sides[0])];
    cluster.partition(left, right);
    cluster.run(5 * 60_000);
    t.true(left.every((host) => right.every((other) => host.view(other) === 'dead')));
    t.true(
      left.every((host) => left.every((other) => host === other || host.view(other) === 'alive')),
    );
    const deathsBefore = cluster.sightings.filter(({ member }) => member.state === 'dead').length;
    cluster.heal();
    const took = cluster.runUntil(() => cluster.isConverged(), 60_000);
    t.log(`healed after ${Math.round(took)} ms`);
    t.true(took <= 15_000);
    const deathsAfter = cluster.sightings.filter(({ member }) => member.state === 'dead').length;
    t.is(deathsAfter, deathsBefore, 'healing must not kill anybody');
  });
}

for (const [name, downFor, incarnation] of [
  ['at once, with a lower incarnation', 500, 0],
  ['at once, with a higher incarnation', 500, 100],
  ['after it was seen dead', 20_000, 0],
] as const) {
  test(`a host killed and started again ${name} is alive everywhere in a second`, (t) => {
    const cluster = new Cluster({ seed: seedFor(t) });
    const hosts = cluster.mesh(10);
    const victim = hosts[4] as SimHost;
    victim.perform(victim.machine.update({ meta: Buffer.from('old') }, victim.instant()));
    cluster.run(3000);
    cluster.kill(victim);
    cluster.run(downFor);
    const seeds = hosts.filter((host) => host !== victim).map(({ reached }) => reached);
    const again = cluster.restart(victim, { incarnation, seeds });
    const isBack = (): boolean =>
      hosts.every(({ isUp, machine }) => {
        const seen = machine.member(again.id);
        return !isUp || (seen?.state === 'alive' && seen.meta.length === 0);
      }) && cluster.isConverged();
    const took = cluster.runUntil(isBack, 30_000);
    t.log(`${Math.round(took)} ms`);
    t.true(took < 1500);
    cluster.run(60_000);
    t.true(cluster.isConverged());
  });
}

test('a cut that lasts longer than the dead are remembered heals by itself', (t) => {
  const config = { ...presets.lan, deadRetention: asMillis(5 * 60_000) };
  const cluster = new Cluster({ seed: seedFor(t), config });
  const hosts = cluster.mesh(6);
  cluster.partition(hosts.slice(0, 3), hosts.slice(3));
  cluster.run(15 * 60_000);
  t.true(
    hosts.every(({ machine }) => machine.members.length === 2),
    'the dead are forgotten',
  );
  cluster.heal();
  const took = cluster.runUntil(() => cluster.isConverged(), 60_000);
  t.log(`healed after ${Math.round(took)} ms`);
  t.true(took <= 15_000);
});

test('one lost host is called for ever, ever more rarely, and no more often by many', (t) => {
  const calls = [10, 60].map((count) => {
    const cluster = new Cluster({ seed: seedFor(t), network: PERFECT });
    const hosts = cluster.formed(count);
    cluster.run(5000);
    cluster.kill(hosts[3] as SimHost);
    cluster.run(60_000);
    const failed = (): number =>
      cluster.hosts.reduce(
        (sum, { machine }) => sum + (machine.counters()['exchangesFailed'] ?? 0),
        0,
      );
    const before = failed();
    cluster.run(60_000);
    return (failed() - before) / 60;
  });
  t.log(`calls per second: ${calls.map((rate) => rate.toFixed(1)).join(', ')}`);
  t.true(calls.every((rate) => rate > 0.5 && rate < 6));
});

test('a link that carries datagrams in neither direction, but TCP, kills nobody', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(2);
  cluster.network = { ...PERFECT, loss: 1, streamLoss: 0 };
  cluster.run(60_000);
  t.is(cluster.falseDeaths().length, 0);
  t.true(hosts.every(({ machine }) => (machine.counters()['probesSavedByStream'] ?? 0) > 50));
});

test('a host that stands still for 2 s dies of it no more than others by its hand', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(30);
  for (let round = 0; round < 20; round++) {
    hosts[(7 * round) % 30]?.stall(2000);
    cluster.run(5000 + cluster.rng.next() * 1000);
  }
  t.is(cluster.falseDeaths().length, 0);
  t.true(cluster.isConverged());
});

test('a host that comes back at another address is reached there', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [first, victim] = cluster.mesh(5) as [SimHost, SimHost];
  cluster.kill(victim);
  cluster.run(200);
  const moved = cluster.restart(victim, {
    address: cluster.freshAddress(),
    seeds: [first.reached],
  });
  const isMoved = (): boolean =>
    cluster.hosts.every(
      (host) =>
        host === moved || host.machine.member(moved.id)?.address.address === moved.reached.address,
    );
  t.true(cluster.runUntil(isMoved, 10_000) < 1500);
  cluster.run(30_000);
  t.true(cluster.isConverged());
});

test('a newcomer to many more hosts than one message holds learns them all in one sync', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.formed(1500);
  const newcomer = cluster.add();
  newcomer.join(hosts[0] as SimHost);
  // Gossip has its first round after 20 ms and would take many.
  const knowsAll = (): boolean => newcomer.machine.members.length === hosts.length;
  const took = cluster.runUntil(knowsAll, 1000);
  t.true(took < 50, `${took} ms`);
});

test('who leaves is left, not dead, and is known so in half a second', (t) => {
  const cluster = new Cluster({ seed: seedFor(t), network: LOSSY });
  const hosts = cluster.mesh(20);
  const leaver = hosts[7] as SimHost;
  leaver.leave();
  t.true(cluster.runUntil(() => leaver.hasLeft, 2000) < 500);
  const others = hosts.filter((host) => host !== leaver);
  const isSeen = (): boolean => others.every((host) => host.view(leaver) === 'left');
  t.true(cluster.runUntil(isSeen, 5000) < 1000);
  cluster.run(120_000);
  t.is(leaver.machine.members.length, 0, 'nobody calls a host back that has left');
  t.true(others.every((host) => host.view(leaver) === 'left'));
  t.false(cluster.sightings.some(({ member }) => member.state === 'dead'));
  leaver.join(hosts[0] as SimHost);
  t.true(cluster.runUntil(() => cluster.isConverged(), 5000) < 1500);
});

test('an answer that comes after leaving does not draw the host back', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(3);
  const leaver = hosts[1] as SimHost;
  cluster.network = { ...PERFECT, latency: () => 400 };
  leaver.join(hosts[0] as SimHost);
  leaver.leave();
  cluster.run(10_000);
  const [, outcome] = leaver.joins;
  t.false(outcome?.ok);
  t.true(leaver.hasLeft);
  t.is(leaver.machine.members.length, 0);
});

test('nor does an answer to what was due, or was asked for, while it said goodbye', (t) => {
  const first = seedFor(t);
  for (let seed = first; seed < first + 20; seed++) {
    const cluster = new Cluster({ seed });
    const hosts = cluster.mesh(3);
    const leaver = hosts[1] as SimHost;
    cluster.network = { ...PERFECT, latency: () => 150 };
    // Soon it would ask another host whether it has that row.
    leaver.put('tags', 'a', seed);
    cluster.run(900);
    leaver.leave();
    cluster.run(100);
    if (seed % 2 === 0) leaver.join(hosts[0] as SimHost);
    cluster.run(10_000);
    t.is(leaver.machine.members.length, 0, `seed ${seed}`);
    t.true(
      hosts.every((host) => host === leaver || host.view(leaver) === 'left'),
      `seed ${seed}`,
    );
    const [, outcome] = leaver.joins;
    t.is(outcome?.ok, seed % 2 === 0 ? false : undefined, `seed ${seed}`);
  }
});

test('a host that has left is joined by another one', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [first, second] = cluster.mesh(2) as [SimHost, SimHost];
  first.leave();
  cluster.run(1000);
  second.join(first);
  t.true(cluster.runUntil(() => cluster.isConverged(), 5000) < 1500);
});

test('a joiner with the name of a live host is refused, and both are named', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(3);
  const twin = cluster.add({ name: 'host-1' });
  twin.join(hosts[0] as SimHost);
  cluster.run(5000);
  const [outcome] = twin.joins;
  t.false(outcome?.ok);
  if (outcome?.ok !== false) return;
  t.is(outcome.error.code, 'E_HOST_NAME_TAKEN');
  for (const part of [
    'host-1',
    twin.id,
    hosts[1]?.id ?? '',
    twin.reached.address,
    hosts[1]?.reached.address ?? '',
  ]) {
    t.true(outcome.error.message.includes(part), part);
  }
  t.true(hosts.every((host) => host.view(twin) === undefined));
  t.is(twin.machine.members.length, 0);
});

test('two meshes in which one name lives twice can be joined; both hosts are told apart', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [a, b] = [cluster.add({ name: 'a' }), cluster.add({ name: 'twin' })];
  const [c, d] = [cluster.add({ name: 'c' }), cluster.add({ name: 'twin' })];
  b.join(a);
  d.join(c);
  cluster.run(2000);
  c.join(a);
  t.true(cluster.runUntil(() => cluster.isConverged(), 10_000) < 3000);
  t.true(a.conflicts > 0);
});

test('a host that joins itself is told so', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const host = cluster.add();
  host.join(host);
  cluster.run(1000);
  const [outcome] = host.joins;
  t.is(outcome?.ok === false && outcome.error.code, 'E_JOIN_SELF');
});

test('a closed port is reported and changes nothing', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [host, gone] = [cluster.add(), cluster.add()];
  cluster.kill(gone);
  host.join(gone);
  cluster.run(1000);
  const [outcome] = host.joins;
  t.is(outcome?.ok === false && outcome.error.code, 'E_JOIN_UNREACHABLE');
});

test('hosts of another protocol version or mesh are refused and their gossip is ignored', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [first] = cluster.mesh(2) as [SimHost];
  const newer = cluster.add({ protocol: { min: 7, max: 9 } });
  const stranger = cluster.add({ label: 'other' });
  newer.join(first);
  stranger.join(first);
  cluster.run(2000);
  const errors = [newer, stranger].map(({ joins: [outcome] }) =>
    outcome?.ok === false ? outcome.error : undefined,
  );
  t.deepEqual(
    errors.map((error) => error?.code),
    ['E_MESH_VERSION', 'E_MESH_LABEL'],
  );
  t.regex(errors[0]?.message ?? '', /protocol 1 and this host 7 to 9/);
  t.regex(errors[1]?.message ?? '', /"sim" and this host to "other"/);
  t.is(first.machine.members.length, 1);
});

test('a host that advertises no address is reached at the one its peer sees', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [first] = cluster.mesh(3) as [SimHost];
  const shy = cluster.add({ address: { address: '0.0.0.0', port: 7783 } });
  shy.join(first);
  t.true(cluster.runUntil(() => cluster.isConverged(), 10_000) < 1500);
  t.is(shy.machine.self.address.address, shy.reached.address);
  cluster.run(30_000);
  t.true(cluster.isConverged());
});

test('a host finds its mesh by its seeds, however late they come up', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const late = cluster.freshAddress();
  const early = cluster.add({ seeds: [late] });
  cluster.run(60_000);
  cluster.add({ address: late });
  t.true(cluster.runUntil(() => cluster.isConverged(), 30_000) <= cluster.config.rejoinMax + 100);
  t.is(early.machine.members.length, 1);
});

test('an idle mesh sends little, and as much at 50 hosts as at 10', (t) => {
  const rates = [10, 50].map((count) => {
    const cluster = new Cluster({ seed: seedFor(t), network: PERFECT });
    const hosts = cluster.mesh(count);
    cluster.run(20_000);
    const sent = (): number =>
      hosts.reduce((sum, { machine }) => sum + (machine.counters()['datagramBytesSent'] ?? 0), 0);
    const before = sent();
    cluster.run(60_000);
    return (sent() - before) / 60 / count;
  });
  t.log(`bytes per host and second: ${rates.map(Math.round).join(', ')}`);
  t.true(rates.every((rate) => rate < 200));
  t.true((rates[1] ?? 0) < 1.1 * (rates[0] ?? 0));
});
