import { rmSync } from 'node:fs';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { CommandResult } from '../../bench/lib/process.ts';
import type {
  AuditReport,
  EndpointInfo,
  ForgetReport,
  NetworkDetail,
  PoolInfo,
} from '../../src/api/control.ts';
import { eventually, makeHosts, startMesh, waitForPeers, type WeftHost, upJoined } from './mesh.ts';

/* The numbers are those of Weave's smoke tests, whose intent these have. */

const CREATE = ['network', 'create', 'blue', '--subnet', '10.7.0.0/24'] as const;
/** What Weave grants an allocation after a host was lost. */
const SOON_MS = 5_000;

/** Attaches without --ip; the address without its prefix length. */
async function attach(host: WeftHost, sandbox: LabNamespace): Promise<string> {
  const info = await host.json<EndpointInfo>('attach', 'blue', '--netns', sandbox.name);
  return info.address.split('/')[0] ?? '';
}

async function pool(host: WeftHost): Promise<PoolInfo> {
  const [blue] = await host.json<PoolInfo[]>('ipam', 'status');
  if (blue === undefined) throw new Error('there is no pool');
  return blue;
}

/** Every address of the network as a host knows it, sorted. */
async function addresses(host: WeftHost): Promise<string[]> {
  const { attached } = await host.json<NetworkDetail>('network', 'inspect', 'blue');
  return attached.map(({ address }) => address.split('/')[0] ?? '').sort();
}

async function audit(host: WeftHost): Promise<AuditReport & Pick<CommandResult, 'status'>> {
  const { status, stdout } = await host.tryWeft('ipam', 'audit', '--json');
  return { ...(JSON.parse(stdout) as AuditReport), status };
}

const stateOf = async (host: WeftHost, name: string): Promise<string | undefined> =>
  (await host.peers()).find((peer) => peer.name === name)?.state;

/** Hosts that own some of the network's addresses and vote, as `host` knows it. */
async function settled(host: WeftHost, names: readonly string[]): Promise<boolean> {
  const { voters, shares } = await pool(host);
  return names.every(
    (name) =>
      voters.some((voter) => voter.host === name) &&
      shares.some((share) => share.host === name && share.addresses > 0),
  );
}

test('300: an address that moves to another container is at once known to its neighbours', async (t) => {
  const mesh = await startMesh(t, 'ip300', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, next, watcher] = [
    await mesh.container('web'),
    await mesh.container('next'),
    await mesh.container('watcher'),
  ];
  await a.weft(...CREATE);
  await a.attach('blue', web, '10.7.0.9');
  await eventually(async () => (await b.status()).networks === 1, 5000);
  await attach(b, watcher);
  t.is((await watcher.ping('10.7.0.9')).received, 3);

  await a.weft('detach', 'blue', '--netns', web.name);
  await eventually(async () => !(await addresses(b)).includes('10.7.0.9'), 5000);
  const { mac } = await b.attach('blue', next, '10.7.0.9');
  await eventually(async () => (await watcher.ip('neigh show 10.7.0.9')).includes(mac), 2000);
  t.is((await watcher.ping('10.7.0.9')).received, 3);
});

test('310: a container restarted with its host has its address again, another having been removed; the audit sees harm', async (t) => {
  const mesh = await startMesh(t, 'ip310', ['a']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  const [gone, web, db, fresh] = [
    await mesh.container('gone'),
    await mesh.container('web'),
    await mesh.container('db'),
    await mesh.container('fresh'),
  ];
  await a.weft(...CREATE);
  const removed = await attach(a, gone);
  const address = await attach(a, web);
  const stays = await attach(a, db);
  await a.kill();
  for (const box of [gone, web]) await mesh.lab.removeNamespace(box);
  const again = await mesh.container('web');
  await a.up();
  // Neither that of the one that was removed, though it is the lowest, nor that of the one to come back.
  const other = await attach(a, fresh);
  t.false([removed, address, stays].includes(other), other);
  t.is((await a.attach('blue', again, address)).address, `${address}/24`);
  t.deepEqual(await addresses(a), [address, stays, other].sort());
  t.is((await db.ping(address)).received, 3);

  t.deepEqual(await audit(a), { findings: [], isClean: true, status: 0 });
  for (const [harm, code, named] of [
    [['addr', 'add', '10.7.0.77/24', 'dev', 'eth0'], 'interface-address', '10.7.0.77/24'],
    [['link', 'del', 'eth0'], 'interface-missing', 'eth0'],
  ] as const) {
    // A sweep of the daemon may mend it before it is seen: then it is harmed again.
    await eventually(async () => {
      await again.tryRun('ip', ['addr', 'flush', 'dev', 'eth0']);
      await again.tryRun('ip', harm);
      const { findings, status } = await audit(a);
      const told = findings.find((finding) => finding.code === code);
      return status === 1 && told !== undefined && told.sentence.includes(named);
    }, 30_000);
  }
});

test('335: the owner of most addresses is killed and forgotten by both others at once; nothing is given twice', async (t) => {
  const mesh = await makeHosts(t, 'ip335', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  const boxes = [];
  for (let index = 0; index < 8; index++) boxes.push(await mesh.container(`c${index}`));
  const [c0, c1, c2, c3, c4, c5, c6, c7] = boxes as [
    ...[LabNamespace, LabNamespace, LabNamespace, LabNamespace],
    ...[LabNamespace, LabNamespace, LabNamespace, LabNamespace],
  ];
  await a.up();
  await a.weft(...CREATE);
  await upJoined(b, a);
  await upJoined(c, a);
  await waitForPeers(a, 3);
  await eventually(() => settled(a, ['a', 'b', 'c']), 20_000);
  const largest = (await pool(a)).shares[0]?.host ?? '';
  const owner = mesh.hosts.find(({ name }) => name === largest) ?? a;
  const others = mesh.hosts.filter((host) => host !== owner);
  const [one, other] = others as [WeftHost, WeftHost];
  const lost = await attach(owner, c0);
  await attach(one, c1);
  await attach(other, c2);

  await owner.kill();
  for (const [host, box] of [
    [one, c3],
    [other, c4],
  ] as const) {
    const started = performance.now();
    await attach(host, box);
    const tookMs = performance.now() - started;
    t.log(`${host.name}: an address after ${Math.round(tookMs)} ms`);
    t.true(tookMs <= SOON_MS, `${tookMs} ms`);
  }
  for (const host of others) {
    await eventually(async () => (await stateOf(host, owner.name)) === 'dead', 15_000);
  }
  const reports = await Promise.all(
    others.map((host) => host.json<ForgetReport>('forget', owner.name)),
  );
  t.deepEqual(
    reports.map(({ host }) => host),
    [owner.name, owner.name],
  );
  for (const host of others) {
    await eventually(async () => !(await addresses(host)).includes(lost), 5000);
  }
  t.deepEqual((await one.json<ForgetReport>('forget', owner.name)).endpoints, []);
  await attach(one, c5);
  await attach(other, c6);

  await owner.up();
  await waitForPeers(owner, 3);
  await eventually(async () => (await c0.ip('-br addr show type veth')) === '', 15_000);
  await attach(owner, c7);
  for (const host of mesh.hosts) {
    await eventually(async () => (await addresses(host)).length === 7, 5000);
    const all = await addresses(host);
    t.is(new Set(all).size, all.length, all.join(' '));
  }
  const { warnings } = await owner.status();
  t.true(
    warnings.some((warning) => warning.includes('taken from this host')),
    warnings.join(' '),
  );
});

test('320: an address of a host that is away is refused with its name, and had when it is back', async (t) => {
  const mesh = await startMesh(t, 'ip320', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft(...CREATE);
  await eventually(async () => (await b.status()).networks === 1, 5000);
  const { address } = await a.json<EndpointInfo>('attach', 'blue', '--netns', web.name);
  await a.kill();
  await eventually(async () => (await stateOf(b, 'a')) === 'dead', 15_000);
  const claim = ['attach', 'blue', '--netns', db.name, '--ip'] as const;
  const away = await b.tryWeft(...claim, '10.7.0.60');
  t.is(away.status, 1);
  t.regex(away.stderr, /10\.7\.0\.60.* is owned by host a, which does not answer/);
  const outside = await b.tryWeft(...claim, '10.8.0.1');
  t.regex(outside.stderr, /10\.8\.0\.1.*10\.7\.0\.0\/24/);
  // Neither of two voters can be revoked, so what is left goes on.
  t.not(await attach(b, db), address.split('/')[0]);
  await b.weft('detach', 'blue', '--netns', db.name);

  await a.up();
  await waitForPeers(b, 2);
  t.is((await b.attach('blue', db, '10.7.0.60')).address, '10.7.0.60/24');
});

test('330: two hosts that lost their state one after the other; force, and addresses again', async (t) => {
  const mesh = await startMesh(t, 'ip330', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.weft(...CREATE);
  await eventually(async () => (await b.status()).networks === 1, 5000);
  for (const [lost, other] of [
    [b, a],
    [a, b],
  ] as const) {
    await eventually(() => settled(other, ['a', 'b']), 20_000);
    const { voters } = await pool(other);
    const former = voters.find(({ host }) => host === lost.name)?.id ?? '';
    await lost.daemon?.stop();
    rmSync(lost.stateDirectory, { recursive: true });
    const refused = await other.tryWeft('forget', former);
    t.is(refused.status, 1);
    t.regex(refused.stderr, /1 of the 2 hosts that vote/);
    await other.weft('forget', former, '--force');
    await upJoined(lost, other);
    await waitForPeers(other, 2);
  }
  const started = performance.now();
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  t.not(await attach(a, web), await attach(b, db));
  t.true(performance.now() - started <= 10_000);
});

test('370, 390: after all daemons restart, owners are the same and no address in use is given out', async (t) => {
  const mesh = await startMesh(t, 'ip370', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, gone, db, next, last] = [
    await mesh.container('web'),
    await mesh.container('gone'),
    await mesh.container('db'),
    await mesh.container('next'),
    await mesh.container('last'),
  ];
  await a.weft(...CREATE, '--gateway', '10.7.0.3', '--reserve', '10.7.0.4');
  await eventually(async () => (await b.status()).networks === 1, 5000);
  const first = await attach(a, web);
  const freed = await attach(a, gone);
  await attach(b, db);
  const owners = (await pool(a)).shares.map(({ id }) => id).sort();
  await a.kill();
  await b.kill();
  await mesh.lab.removeNamespace(gone);
  await Promise.all([a.up(), b.up()]);
  await waitForPeers(a, 2);
  t.deepEqual((await pool(a)).shares.map(({ id }) => id).sort(), owners);
  // Not chosen while it rests, but there for who asks for it.
  t.is((await a.attach('blue', next, freed)).address, `${freed}/24`);
  const more = await attach(a, last);
  t.false(['10.7.0.3', '10.7.0.4', first, freed].includes(more), more);
  const reserved = await a.tryWeft(
    'attach',
    'blue',
    '--netns',
    last.name,
    '--ip',
    '10.7.0.3',
    '--ifname',
    'eth1',
  );
  t.regex(reserved.stderr, /10\.7\.0\.3 is the gateway/);
});
