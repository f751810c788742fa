import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { LabProcess } from '../../bench/lib/process.ts';
import { createClient } from '../../src/api/client.ts';
import type { NameInfo, NetworkDetail } from '../../src/api/control.ts';
import { eventually, makeHosts, timed, waitForPeers, type WeftHost, upJoined } from './mesh.ts';

const NAME_SERVER = fileURLToPath(new URL('./name-server-program.js', import.meta.url));
const SERVER = '10.7.0.1';
const UPSTREAM = '192.0.2.3';
const FLAGS = ['--dns-upstream', UPSTREAM];
/** Both networks have the same addresses. */
const NETWORKS = [
  ['blue', '42'],
  ['red', '43'],
] as const;

const cleanups: (() => unknown)[] = [];
test.after.always(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

interface World {
  readonly a: WeftHost;
  readonly b: WeftHost;
  readonly web: LabNamespace;
  readonly db: LabNamespace;
  readonly redWeb: LabNamespace;
  readonly redDb: LabNamespace;
  readonly upstream: LabProcess;
}

let world: World;

/** The network's bridge gets the address that its endpoints' questions go to. */
async function giveGateway({ namespace }: WeftHost, network: string): Promise<void> {
  const vni = NETWORKS.find(([name]) => name === network)?.[1] ?? '';
  await namespace.ip(`addr replace ${SERVER}/24 dev weft-${vni}`);
}

/** What `dig +short` says, sorted. */
async function dig(from: LabNamespace, ...words: readonly string[]): Promise<string[]> {
  const options = ['+short', '+timeout=2', '+tries=2'];
  const out = await from.run('dig', [`@${SERVER}`, ...options, ...words]);
  return out.split('\n').filter(Boolean).sort();
}

/** The status that an answer bears, such as NXDOMAIN, and the rest of what `dig` prints. */
async function digWhole(
  from: LabNamespace,
  ...words: readonly string[]
): Promise<{ readonly status: string; readonly text: string }> {
  const text = await from.run('dig', [`@${SERVER}`, '+timeout=2', ...words]);
  return { status: /status: ([A-Z]+)/.exec(text)?.[1] ?? 'none', text };
}

/** Whether the name has just these addresses; false also while nobody answers yet. */
async function resolves(from: LabNamespace, name: string, ...wanted: string[]): Promise<boolean> {
  const found = await dig(from, name).catch(() => undefined);
  return JSON.stringify(found) === JSON.stringify([...wanted].sort());
}

test.before(async () => {
  const mesh = await makeHosts({ teardown: (run) => void cleanups.push(run) }, 'names', [
    ...['a', 'b', 'dns'],
  ]);
  const [a, b, dns] = mesh.hosts;
  if (!a || !b || !dns) throw new Error('three hosts were asked for');
  const upstream = dns.namespace.start(process.execPath, [NAME_SERVER, UPSTREAM]);
  await upstream.waitForLine(/^listening/);
  await a.up(...FLAGS);
  await upJoined(b, a, ...FLAGS);
  await waitForPeers(b, 2);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const [redWeb, redDb] = [await mesh.container('redweb'), await mesh.container('reddb')];
  for (const [name, vni] of NETWORKS) {
    await a.weft('network', 'create', name, '--subnet', '10.7.0.0/24', '--vni', vni);
    await eventually(async () => (await b.tryWeft('network', 'inspect', name)).status === 0, 5000);
  }
  await a.attach('blue', web, '10.7.0.2', '--dns-name', 'Web', '--dns-name', 'www.shop');
  await a.attach('red', redWeb, '10.7.0.2', '--dns-name', 'web');
  await b.attach('red', redDb, '10.7.0.3', '--dns-name', 'reddb');
  for (const network of ['blue', 'red']) await giveGateway(a, network);
  await giveGateway(b, 'red');
  world = { a, b, web, db, redWeb, redDb, upstream };
  await eventually(() => resolves(web, 'web.weft.local', '10.7.0.2'), 5000);
});

test.serial('the name of a new container is known on the other host within a second', async (t) => {
  const { b, web, db, a } = world;
  await b.attach('blue', db, '10.7.0.3', '--dns-name', 'db');
  const known = await timed(
    () => eventually(() => resolves(web, 'db.weft.local', '10.7.0.3'), 10_000),
    1000,
  );
  t.true(known.ms <= known.allowedMs, known.text);
  t.log(`resolved after ${known.text}`);
  await giveGateway(b, 'blue');
  await eventually(() => resolves(db, 'web.weft.local', '10.7.0.2'), 5000);
  t.true(await resolves(db, 'www.shop.weft.local', '10.7.0.2'), 'a name in a sub-domain');
  t.true(await resolves(db, 'WEB.blue.Weft.Local', '10.7.0.2'), 'with the network, in any case');
  const { dns } = await a.json<NetworkDetail>('network', 'inspect', 'blue');
  t.deepEqual(dns, { servers: [SERVER], search: ['weft.local'] });
});

test.serial('the C library finds names without a domain by its search list', async (t) => {
  const { web } = world;
  const directory = mkdtempSync(join(tmpdir(), 'weft-tnames-'));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'resolv.conf');
  writeFileSync(file, `nameserver ${SERVER}\nsearch weft.local\n`);
  const getent = (what: string): Promise<string> =>
    web.run('unshare', [
      '-m',
      'sh',
      '-c',
      `mount --bind ${file} /etc/resolv.conf && getent ${what}`,
    ]);
  t.regex(await getent('ahostsv4 db'), /^10\.7\.0\.3 +STREAM db/);
  t.regex(await getent('hosts 10.7.0.3'), /^10\.7\.0\.3 +db\.weft\.local/);
  t.regex(await getent('ahostsv4 away.example'), /^198\.51\.100\.7/);
});

test.serial('reverse names, absent names and absent data', async (t) => {
  const { web } = world;
  t.deepEqual(await dig(web, '-x', '10.7.0.3'), ['db.weft.local.']);
  t.deepEqual(await dig(web, 'PTR', '3.0.7.10.IN-ADDR.ARPA'), ['db.weft.local.']);
  t.is((await digWhole(web, '-x', '10.7.0.77')).status, 'NXDOMAIN');
  const none = await digWhole(web, 'none.weft.local');
  t.is(none.status, 'NXDOMAIN');
  t.regex(none.text, /AUTHORITY SECTION:\nweft\.local\.\s+1\s+IN\s+SOA/);
  const mail = await digWhole(web, 'MX', 'db.weft.local');
  t.is(mail.status, 'NOERROR');
  t.regex(mail.text, /ANSWER: 0/);
});

test.serial('networks with the same addresses see their own names only', async (t) => {
  const { web, db, redWeb, redDb } = world;
  for (const inBlue of [web, db]) t.true(await resolves(inBlue, 'reddb.weft.local'));
  for (const inRed of [redWeb, redDb]) {
    t.true(await resolves(inRed, 'db.weft.local'));
    t.true(await resolves(inRed, 'db.blue.weft.local'));
    t.true(await resolves(inRed, 'reddb.weft.local', '10.7.0.3'));
    t.deepEqual(await dig(inRed, '-x', '10.7.0.3'), ['reddb.weft.local.']);
  }
});

test.serial('the host asks its own bridges and sees every network', async (t) => {
  const { namespace } = world.a;
  t.deepEqual(await dig(namespace, 'db.blue.weft.local'), ['10.7.0.3']);
  t.deepEqual(await dig(namespace, 'reddb.red.weft.local'), ['10.7.0.3']);
});

test.serial('other names are asked of the host’s name server', async (t) => {
  const { web } = world;
  t.deepEqual(await dig(web, 'away.example'), ['198.51.100.7']);
  t.deepEqual(await dig(web, '+tcp', 'away.example'), ['198.51.100.7']);
  t.deepEqual(await dig(web, 'MX', 'away.example'), ['10 mail.away.example.']);
  t.deepEqual(await dig(web, '-x', '198.51.100.7'), ['away.example.']);
  t.is((await digWhole(web, 'nowhere.example')).status, 'NXDOMAIN');
});

test.serial('fifty addresses of one name all arrive, by UDP, TCP and small EDNS', async (t) => {
  const { a, db } = world;
  const control = createClient({ socket: a.socket });
  const addresses = Array.from({ length: 50 }, (_, index) => `10.7.0.${100 + index}`);
  for (const address of addresses)
    await control.addName({ name: 'many', address, network: 'blue' });
  const all = JSON.stringify([...addresses].sort());
  for (const flag of ['+noedns', '+tcp', '+bufsize=700', '+bufsize=4096']) {
    await eventually(
      async () => JSON.stringify(await dig(db, flag, 'many.weft.local')) === all,
      5000,
    );
  }
  const cut = await digWhole(db, '+noedns', '+ignore', 'many.weft.local');
  t.regex(cut.text, /flags: qr aa tc/);
  const orders = new Set<string>();
  for (let turn = 0; turn < 4; turn++) {
    orders.add(
      (await db.run('dig', [`@${SERVER}`, '+short', '+tcp', 'many.weft.local'])).slice(0, 60),
    );
  }
  t.true(orders.size > 1, 'the order changes');
});

test.serial('names that people add are seen by whom they are for, on every host', async (t) => {
  const { a, b, web, db, redDb } = world;
  await a.weft('dns', 'add', 'Printer', '192.0.2.9');
  await a.weft('dns', 'add', 'printer', '192.0.2.10', '--network', 'blue');
  await eventually(() => resolves(db, 'printer.weft.local', '192.0.2.9', '192.0.2.10'), 5000);
  t.true(await resolves(redDb, 'printer.weft.local', '192.0.2.9'));
  t.deepEqual(await dig(web, '-x', '192.0.2.9'), ['printer.weft.local.']);
  const added = (await b.json<NameInfo[]>('dns', 'ls')).filter(({ name }) => name === 'printer');
  t.deepEqual(
    added.map(({ address, host, origin }) => [address, host, origin]),
    [
      ['192.0.2.9', 'a', 'added'],
      ['192.0.2.10', 'a', 'added'],
    ],
  );
  await b.weft('dns', 'rm', 'printer', '192.0.2.9');
  t.true(await resolves(db, 'printer.weft.local', '192.0.2.10'));
  const { status, stderr } = await b.tryWeft('dns', 'rm', 'nothing');
  t.is(status, 1);
  t.regex(stderr, /^weft: No name nothing was added; "weft dns ls" lists/);
});

test.serial('garbage is counted, and answers go on', async (t) => {
  const { a, web } = world;
  const before = (await a.status()).dns.counters;
  const junk = `\\x12\\x34\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\xc0\\x0c\\x00\\x01\\x00\\x01`;
  await web.run('sh', ['-c', `printf '${junk}' | nc -u -w 1 -q 0 ${SERVER} 53`]);
  await web.run('sh', ['-c', `printf 'x' | nc -u -w 1 -q 0 ${SERVER} 53`]);
  await eventually(async () => {
    const { malformed = 0, ignored = 0 } = (await a.status()).dns.counters;
    return malformed > (before['malformed'] ?? 0) && ignored > (before['ignored'] ?? 0);
  }, 5000);
  t.true(await resolves(web, 'db.weft.local', '10.7.0.3'));
});

test.serial('a restarted daemon answers again; a name goes with detach, at once', async (t) => {
  const { a, b, web, db } = world;
  await a.kill();
  await a.up(...FLAGS);
  await eventually(() => resolves(web, 'web.weft.local', '10.7.0.2'), 10_000);
  await eventually(() => resolves(db, 'web.weft.local', '10.7.0.2'), 10_000);
  await eventually(() => resolves(web, 'db.weft.local', '10.7.0.3'), 10_000);
  const [endpoint] = (await a.json<NetworkDetail>('network', 'inspect', 'blue')).attached.filter(
    ({ address }) => address === '10.7.0.2/24',
  );
  await a.weft('dns', 'rename', endpoint?.endpoint ?? '', 'front');
  t.true(await resolves(web, 'front.weft.local', '10.7.0.2'));
  t.true(await resolves(web, 'web.weft.local'));
  await b.weft('detach', 'blue', '--netns', db.name);
  await eventually(() => resolves(web, 'db.weft.local'), 1000 + 4000);
  t.deepEqual(await dig(web, '-x', '10.7.0.3'), []);
  await b.attach('blue', db, '10.7.0.3', '--dns-name', 'db2');
  await eventually(() => resolves(web, 'db2.weft.local', '10.7.0.3'), 5000);
  t.deepEqual(await dig(web, '-x', '10.7.0.3'), ['db2.weft.local.'], 'the living name alone');
});

test.serial(
  'a dead host’s names vanish within 8 s, and are gone for good when it is forgotten',
  async (t) => {
    const { a, b, web } = world;
    await b.weft('dns', 'add', 'extra', '10.7.0.50');
    await eventually(() => resolves(web, 'extra.weft.local', '10.7.0.50'), 5000);
    await b.kill();
    const gone = await timed(() => eventually(() => resolves(web, 'db2.weft.local'), 30_000), 8000);
    t.true(gone.ms <= gone.allowedMs, gone.text);
    t.log(`gone after ${gone.text}`);
    t.true(await resolves(web, 'extra.weft.local'));
    t.true(await resolves(web, 'front.weft.local', '10.7.0.2'), "the living host's stay");
    const away = (await a.json<NameInfo[]>('dns', 'ls')).find(({ name }) => name === 'extra');
    t.false(away?.isAlive);
    await a.weft('forget', 'b', '--force');
    const left = (await a.json<NameInfo[]>('dns', 'ls')).filter(({ host }) => host === 'b');
    t.deepEqual(left, []);
  },
);
