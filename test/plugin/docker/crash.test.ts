import test, { type ExecutionContext } from 'ava';
import { hostEndName } from '../../../src/network/names.ts';
import { CUTS, type Death } from '../../daemon/mortal.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';
import { endpointId, FakeEngine, portMapping, SANDBOX } from './engine.ts';

/*
 * An engine runs a container on a network and takes all away again, and the daemon is killed at one of
 * its deeds. The engine sees a failed call and cleans up as Docker does, once the daemon is back.
 */

const SUBNET = '10.77.0.0/24';
const POOL = `weft,docker-10.77.0.0-24,${SUBNET}`;
const ID = endpointId(1).slice(0, 32);

/** What the engine knows of its own doing: it undoes what it began. */
interface Memory {
  readonly pool: string;
  address: string;
  hasNetwork: boolean;
  hasEndpoint: boolean;
}

async function live(engine: FakeEngine, memory: Memory): Promise<void> {
  const { kernel } = engine.host;
  memory.hasNetwork = false;
  await engine.createNetwork(SUBNET);
  memory.hasNetwork = true;
  const address = await engine.address(memory.pool);
  memory.address = address;
  memory.hasEndpoint = true;
  await engine.createEndpoint(1, address);
  const device = await engine.join(1);
  kernel.addNamespace(SANDBOX);
  await engine.publish(1, [portMapping(8080)]);
  kernel.moveLink(device, 'eth0', SANDBOX);
  await engine.revoke(1);
  await engine.leave(1);
  await engine.deleteEndpoint(1);
  memory.hasEndpoint = false;
  await engine.release(memory.pool, address);
  memory.address = '';
  await engine.deleteNetwork();
  memory.hasNetwork = false;
}

async function cleanUp(engine: FakeEngine, memory: Memory): Promise<void> {
  if (memory.hasEndpoint) {
    await engine.revoke(1);
    await engine.leave(1);
    await engine.deleteEndpoint(1);
  }
  if (memory.address !== '') {
    await engine.release(memory.pool, memory.address);
  }
  // A network whose making failed is not in the engine's list, and never spoken of again.
  if (memory.hasNetwork) await engine.deleteNetwork();
  // But whoever tries again gets it, also if it was made and only the answer was lost.
  await engine.createNetwork(SUBNET, { id: 'b'.repeat(64) });
  await engine.deleteNetwork('b'.repeat(64));
}

function makeHost(seed: number) {
  const world = new World(seed);
  const host = new MortalHost('a', '192.0.2.1', world);
  return { world, host, engine: new FakeEngine(host) };
}

async function checkWhole(t: ExecutionContext, host: MortalHost, what: string): Promise<void> {
  const rows = await host.endpoints();
  const links = await host.links();
  t.deepEqual(
    links.filter((name) => name.startsWith('wv')),
    rows.map(({ endpoint }) => hostEndName(endpoint)),
    `${what}: interfaces and rows`,
  );
}

async function dieAndReturn(t: ExecutionContext, death: Death): Promise<void> {
  const what = `killed ${death.cut} deed ${death.at}`;
  const { world, host, engine } = makeHost(death.at);
  const memory: Memory = { pool: POOL, address: '', hasNetwork: false, hasEndpoint: false };
  if ((await host.start(death)) === 'ready') {
    await live(engine, memory).catch((error: unknown) => {
      t.is((error as Error).message, 'dead', what);
    });
  }
  host.kill();
  t.is(await host.start(), 'ready', what);
  await checkWhole(t, host, what);
  const row = (await host.endpoints()).find(({ endpoint }) => endpoint === ID);
  if (row !== undefined) t.is(row.address, memory.address, what);
  await cleanUp(engine, memory);
  await world.pass(1000);
  await checkWhole(t, host, `${what}, cleaned`);
  t.deepEqual(await host.endpoints(), [], what);
  t.deepEqual(await host.control.listNetworks(), [], what);
  t.deepEqual(await host.links(), [], what);
  t.deepEqual([...host.nft.tables], [], what);
  const kept = [...host.disk.keys()].filter((key) => /^(note|doing)\0/.test(key));
  // An address may be left whose answer the engine never heard; it comes back by itself.
  t.deepEqual(
    kept.filter((key) => !key.includes('reservation')),
    [],
    what,
  );
  host.kill();
}

test('killed at every deed, a daemon leaves nothing that its engine would not take away', async (t) => {
  const { host, engine } = makeHost(1);
  await host.start();
  await live(engine, { pool: POOL, address: '', hasNetwork: false, hasEndpoint: false });
  const { deeds } = host.life;
  host.kill();
  t.log(`${deeds} deeds`);
  for (let at = 1; at <= deeds; at++) {
    for (const cut of CUTS) await dieAndReturn(t, { at, cut });
  }
});
