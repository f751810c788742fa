import test, { type ExecutionContext } from 'ava';
import { CUTS } from '../../daemon/mortal.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';
import { FakeEngine, makeHosts, refusal, SANDBOX } from './engine.ts';

/*
 * What the leader of a Swarm and its nodes ask of their plugins, as recorded from Docker 20.10
 * (traces/swarm-*.jsonl), with the leader on one host and tasks on either.
 */

const SUBNET = '10.77.0.0/24';
const NAME = 'docker-10.77.0.0-24';
const SWARM_ID = 'ro8w33vsqgjcn3oncz68562wd';
const SERIAL = { 'com.docker.network.ipam.serial': 'true' };
const GATEWAY = { RequestAddressType: 'com.docker.network.gateway' };

/** The calls of a leader; it is one of two hosts' engines. */
class Leader {
  readonly engine: FakeEngine;
  pool = '';

  constructor(engine: FakeEngine) {
    this.engine = engine;
  }

  /** Makes the network, or takes it over from another leader. */
  async allocate(id = SWARM_ID, subnet = SUBNET, options = {}): Promise<void> {
    const { engine } = this;
    this.pool = await engine.pool(subnet, { AddressSpace: 'WeftGlobal' });
    const gateway = await engine.address(this.pool, '', { ...SERIAL, ...GATEWAY });
    await engine.call('NetworkDriver.AllocateNetwork', {
      ...{ NetworkID: id, Options: options, IPv6Data: null },
      IPv4Data: [{ AddressSpace: '', Gateway: gateway, Pool: subnet }],
    });
  }

  /** An address for a task or a service, or the one that it has, after a change of leaders. */
  async choose(address = ''): Promise<string> {
    const given = await this.engine.address(this.pool, address, SERIAL);
    return given.split('/')[0] ?? '';
  }

  async free(id = SWARM_ID): Promise<void> {
    await this.engine.call('NetworkDriver.FreeNetwork', { NetworkID: id });
    await this.engine.release(this.pool, '10.77.0.1');
    await this.engine.call('IpamDriver.ReleasePool', { PoolID: this.pool });
  }
}

/** What a node asks for its first task on the network; the pool. */
async function arrive(engine: FakeEngine, own = {}): Promise<string> {
  const pool = await engine.pool(SUBNET, { AddressSpace: 'WeftLocal', Options: null });
  const gateway = await engine.address(pool, '10.77.0.1', GATEWAY);
  await engine.call('NetworkDriver.CreateNetwork', {
    NetworkID: SWARM_ID,
    Options: {
      ...{ 'com.docker.network.enable_ipv6': false, 'com.docker.network.generic': {} },
      ...own,
    },
    IPv4Data: [{ AddressSpace: 'WeftLocal', Gateway: gateway, Pool: SUBNET }],
    IPv6Data: [],
  });
  return pool;
}

async function leave(engine: FakeEngine, pool: string): Promise<void> {
  await engine.release(pool, '10.77.0.1');
  await engine.call('IpamDriver.ReleasePool', { PoolID: pool });
  await engine.deleteNetwork(SWARM_ID);
}

async function runTask(engine: FakeEngine, pool: string, number: number, address: string) {
  const given = await engine.address(pool, address);
  await engine.createEndpoint(number, given, { network: SWARM_ID });
  const device = await engine.join(number, SWARM_ID);
  const { kernel } = engine.host;
  kernel.addNamespace(`${SANDBOX}${number}`);
  kernel.moveLink(device, 'eth0', `${SANDBOX}${number}`);
}

async function endTask(engine: FakeEngine, pool: string, number: number, address: string) {
  await engine.leave(number, SWARM_ID);
  await engine.deleteEndpoint(number, SWARM_ID);
  await engine.release(pool, address);
}

async function makeSwarm(t: ExecutionContext) {
  const { world, a, b, one, two } = await makeHosts(t, { dockerScope: 'global' });
  return { world, a, b, one, two, leader: new Leader(one) };
}

const names = async (host: MortalHost): Promise<string[]> =>
  (await host.control.listNetworks()).map(({ name }) => name);

const addresses = async (host: MortalHost): Promise<string[]> =>
  (await host.endpoints()).map(({ address }) => address.split('/')[0] ?? '').sort();

/** Why it was refused; empty: it was not. */
const told = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => '',
    (error: unknown) => (error as Error).message,
  );

const TAKEN = /belongs to|in use/;

/** A person attaches something at that address. */
function attach(host: MortalHost, ip: string): Promise<string> {
  return host.run((control) => told(control.attach({ network: NAME, netns: '/run/netns/x', ip })));
}

test('the leader chooses, a task on either host has what was chosen, and nothing is left', async (t) => {
  const { world, a, b, one, two, leader } = await makeSwarm(t);
  await leader.allocate();
  t.deepEqual(await a.links(), [], 'no host carries it for that');
  const [vip, first, second] = [
    await leader.choose(),
    await leader.choose(),
    await leader.choose(),
  ];
  t.is(new Set([vip, first, second]).size, 3);
  const pools = [await arrive(one), await arrive(two)] as const;
  await runTask(one, pools[0], 1, first);
  await runTask(two, pools[1], 2, second);
  await world.pass(2000);
  for (const host of [a, b]) t.deepEqual(await addresses(host), [first, second].sort());
  // Nobody else gets any of the three, whether or not there is an endpoint.
  for (const host of [a, b]) {
    host.addSandbox('/run/netns/x');
    for (const ip of [vip, first, second]) {
      t.regex(await attach(host, ip), TAKEN);
    }
  }
  // A daemon that starts again holds what it held, and its endpoints have what they had.
  for (const host of [a, b]) {
    host.kill();
    t.is(await host.start(), 'ready');
  }
  await world.pass(2000);
  for (const host of [a, b]) {
    t.deepEqual(await addresses(host), [first, second].sort());
    t.regex(await attach(host, vip), TAKEN);
    t.regex(await attach(host, second), TAKEN);
  }
  await endTask(one, pools[0], 1, first);
  await endTask(two, pools[1], 2, second);
  t.regex(await attach(b, second), TAKEN, 'the task is over, and its manager has not said so yet');
  await leave(one, pools[0]);
  await leave(two, pools[1]);
  for (const address of [vip, first, second]) await one.release(leader.pool, address);
  await leader.free();
  await world.pass(2000);
  for (const host of [a, b]) {
    t.deepEqual(await names(host), []);
    t.deepEqual(await host.links(), []);
    t.deepEqual(
      [...host.disk.keys()].filter((key) => /reservation|swarm-network/.test(key)),
      [],
    );
  }
});

test('another leader knows what the one before it has given out, and can let go of it', async (t) => {
  const { world, a, b, one, two, leader } = await makeSwarm(t);
  await leader.allocate();
  const [vip, task] = [await leader.choose(), await leader.choose()];
  const pool = await arrive(two);
  await runTask(two, pool, 1, task);
  await world.pass(2000);
  a.kill();
  await world.pass(60_000);
  const next = new Leader(two);
  await next.allocate();
  t.is(await next.choose(vip), vip);
  t.is(await next.choose(task), task);
  const fresh = await next.choose();
  t.false([vip, task].includes(fresh));
  // It goes while its first leader is away, who then hears of that.
  await two.release(next.pool, vip);
  t.is(await a.start(), 'ready');
  await world.pass(60_000);
  a.addSandbox('/run/netns/x');
  t.is(await attach(a, vip), '');
  await a.run((control) => control.detach({ network: NAME, netns: '/run/netns/x' }));
  t.regex(await attach(a, task), TAKEN);
  await endTask(two, pool, 1, task);
  await leave(two, pool);
  await next.free();
  await world.pass(2000);
  for (const host of [a, b]) t.deepEqual(await names(host), []);
  t.deepEqual(
    [...a.disk.keys()].filter((key) => /reservation/.test(key)),
    [],
  );
  t.is(one.host, a);
});

test('what no leader names any more goes, unless a container has it', async (t) => {
  const { world, a, one, two, leader } = await makeSwarm(t);
  await leader.allocate();
  const [kept, used, lost] = [await leader.choose(), await leader.choose(), await leader.choose()];
  const pool = await arrive(two);
  await runTask(two, pool, 1, used);
  await world.pass(2000);
  await leader.allocate();
  t.is(await leader.choose(kept), kept);
  await world.pass(700_000);
  a.addSandbox('/run/netns/x');
  t.regex(await attach(a, kept), TAKEN);
  t.regex(await attach(a, used), TAKEN);
  t.is(await attach(a, lost), '');
  t.is(one.host, a);
});

test('an internal network is so from its first container on, on every host', async (t) => {
  const { world, a, b, one, two, leader } = await makeSwarm(t);
  await leader.allocate();
  await world.pass(1000);
  const internal = { 'com.docker.network.internal': true };
  await arrive(two, internal);
  await arrive(one, internal);
  await world.pass(1000);
  for (const host of [a, b]) {
    const [network] = await host.control.listNetworks();
    t.is(network?.edge, 'internal');
  }
  await leader.allocate();
});

test('a node that is not in the mesh of its managers is told so, and makes nothing', async (t) => {
  const { world, b, one, two } = await makeSwarm(t);
  const sentence = await refusal(arrive(two));
  t.regex(sentence, /not heard of the Swarm's network ro8w33vsqgjc; .*"weft join"/);
  t.deepEqual(await names(b), []);
  t.deepEqual(await b.links(), []);
  const leader = new Leader(one);
  await leader.allocate();
  await world.pass(1000);
  await t.notThrowsAsync(arrive(two));
});

test('the cluster’s network is nobody else’s to remove while it is used, and one Weft network is one of them', async (t) => {
  const { world, a, one, leader } = await makeSwarm(t);
  await leader.allocate();
  await leader.choose();
  const remove = (): Promise<string> => a.run((control) => told(control.removeNetwork(NAME)));
  await arrive(one);
  t.regex(await remove(), /in use by Docker on host a; "docker network rm" there/);
  await one.deleteNetwork(SWARM_ID);
  const sentence = await refusal(leader.allocate('another'));
  t.regex(sentence, /is network ro8w33vsqgjc\w+ of the Swarm already.*"weft network rm docker-/);
  t.is(await remove(), '', 'a Swarm that was thrown away says nothing of its networks');
  await world.pass(1000);
  t.deepEqual(await names(a), []);
  t.deepEqual(
    [...a.disk.keys()].filter((key) => /reservation/.test(key)),
    [],
  );
  await leader.allocate('another');
  await leader.free('another');
  t.deepEqual(await names(a), []);
});

/** What a leader and its node do from a network's making to its end; Swarm writes down what it was told. */
async function live(leader: Leader, memory: { addresses: string[] }) {
  const { engine } = leader;
  await leader.allocate();
  const vip = await leader.choose();
  memory.addresses.push(vip);
  const task = await leader.choose();
  memory.addresses.push(task);
  const pool = await arrive(engine);
  await runTask(engine, pool, 1, task);
  await endTask(engine, pool, 1, task);
  await leave(engine, pool);
  for (const address of [task, vip]) {
    await engine.release(leader.pool, address);
    memory.addresses = memory.addresses.filter((each) => each !== address);
  }
  await leader.free();
}

test('killed at every deed, a leader and node holds what the Swarm knows, and nothing is left', async (t) => {
  const make = (seed: number) => {
    const world = new World(seed);
    const host = new MortalHost('a', '192.0.2.1', world, { dockerScope: 'global' });
    return { world, host, leader: new Leader(new FakeEngine(host)) };
  };
  const { host: first, leader } = make(1);
  await first.start();
  await live(leader, { addresses: [] });
  const { deeds } = first.life;
  first.kill();
  t.log(`${deeds} deeds`);
  for (let at = 1; at <= deeds; at++) {
    for (const cut of CUTS) {
      const what = `killed ${cut} deed ${at}`;
      const { world, host, leader: mortal } = make(at);
      const memory = { addresses: [] as string[] };
      if ((await host.start({ at, cut })) === 'ready') {
        const died = await refusal(live(mortal, memory));
        t.true(['dead', ''].includes(died), `${what}: ${died}`);
      }
      host.kill();
      t.is(await host.start(), 'ready', what);
      // The leader tells what it knows; the engine's containers have died with it.
      await mortal.allocate();
      for (const address of memory.addresses) t.is(await mortal.choose(address), address, what);
      const { engine } = mortal;
      host.addSandbox('/run/netns/x');
      for (const ip of memory.addresses) t.regex(await attach(host, ip), TAKEN, what);
      await engine.leave(1, SWARM_ID);
      await engine.deleteEndpoint(1, SWARM_ID);
      await engine.deleteNetwork(SWARM_ID);
      for (const address of memory.addresses) await engine.release(mortal.pool, address);
      await mortal.free();
      await world.pass(1000);
      t.deepEqual(await host.endpoints(), [], what);
      t.deepEqual(await names(host), [], what);
      t.deepEqual(await host.links(), [], what);
      const kept = [...host.disk.keys()].filter((key) => /^(note|doing)\0/.test(key));
      t.deepEqual(kept, [], what);
      host.kill();
    }
  }
});
