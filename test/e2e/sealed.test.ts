import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo, TokenInfo, TokenText } from '../../src/api/control.ts';
import { formatToken, parseToken } from '../../src/link/token.ts';
import { eventually, makeHosts, waitForPeers, type TestMesh, type WeftHost } from './mesh.ts';

/** Other users of the machine stretch what takes milliseconds. */
const LONG_MS = 60_000;
/** Above two minutes, in which a key is replaced. */
const REKEY_SECONDS = 10;
const TRAFFIC_SECONDS = 35;

interface Pair {
  readonly mesh: TestMesh;
  readonly a: WeftHost;
  readonly b: WeftHost;
  readonly web: LabNamespace;
  readonly db: LabNamespace;
}

async function token(host: WeftHost, ...flags: readonly string[]): Promise<string> {
  return (await host.weft('token', ...flags)).trim();
}

/** Two hosts that share a secret by a token, and a sealed network with a container on each. */
async function pair(t: ExecutionContext, area: string, ...flags: readonly string[]): Promise<Pair> {
  const mesh = await makeHosts(t, area, ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up(...flags);
  await b.up(...flags);
  await b.weft('join', a.host.address, '--token', await token(a));
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await network(mesh, 'blue', '10.7.0.0/24', 'sealed');
  await a.attach('blue', web, '10.7.0.2');
  const attached = await b.attach('blue', db, '10.7.0.3');
  t.is(attached.mtu, 1500 - 74);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  return { mesh, a, b, web, db };
}

async function network(mesh: TestMesh, name: string, subnet: string, encap: string): Promise<void> {
  const [first, ...others] = mesh.hosts;
  await first?.weft('network', 'create', name, '--subnet', subnet, '--encap', encap);
  for (const host of others) {
    await eventually(
      async () => (await host.tryWeft('network', 'inspect', name)).status === 0,
      LONG_MS,
    );
  }
}

const linkStates = async (host: WeftHost): Promise<string[]> =>
  (await host.status()).links.peers.map(({ state }) => state);

/** Source and destination as they stand in an IPv4 header. */
const addresses = (...last: readonly [number, number, number]): Buffer =>
  Buffer.of(10, last[0], 0, last[1], 10, last[0], 0, last[2]);

test('10 MB each way over a sealed network: intact, and nothing of it shows on the underlay', async (t) => {
  const { mesh, a, b, web, db } = await pair(t, 'seal');
  const [plainWeb, plainDb] = [await mesh.container('pweb'), await mesh.container('pdb')];
  await network(mesh, 'plain', '10.8.0.0/24', 'vxlan');
  await a.attach('plain', plainWeb, '10.8.0.2');
  await b.attach('plain', plainDb, '10.8.0.3');
  await eventually(() => plainWeb.answers('10.8.0.3'), LONG_MS);

  const path = join(a.directory, 'underlay.pcap');
  const shark = a.namespace.start('tshark', ['-i', a.host.ifname, '-n', '-l', '-w', path]);
  await shark.waitForLine(/Capture started/, LONG_MS);
  const there = await web.transferTo(db, { address: '10.7.0.3', bytes: 10_000_000 });
  const back = await db.transferTo(web, { address: '10.7.0.2', bytes: 10_000_000, seed: 2 });
  t.true(there.isIntact && back.isIntact);
  // What is plain is seen: the capture is of the right interface, and the search finds.
  await eventually(async () => {
    await plainWeb.answers('10.8.0.3');
    return readFileSync(path).includes(addresses(8, 2, 3));
  }, LONG_MS);
  shark.signal('SIGINT');
  await shark.exited;

  const seen = readFileSync(path);
  t.true(seen.length > 20_000_000, `${seen.length} bytes were seen`);
  t.false(seen.includes(addresses(7, 2, 3)));
  t.false(seen.includes(addresses(7, 3, 2)));
  for (const host of [a, b]) {
    const { drops } = (await host.status()).dataPlane;
    t.is(drops['sealed_forged'], 0);
    t.is(drops['sealed_session_unknown'], 0);
    t.deepEqual(await linkStates(host), ['sealed']);
  }
});

test('a daemon that was killed has new keys when it is back; foreign VTEPs are refused', async (t) => {
  const { a, b, web } = await pair(t, 'sealk');
  await b.kill();
  await b.up();
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  t.deepEqual(await linkStates(b), ['sealed']);
  const refused = await a.tryWeft('vtep', 'add', 'blue', '192.0.2.77');
  t.is(refused.status, 1);
  t.regex(refused.stderr, /^weft: Network blue is sealed, and [^\n]+\n$/);
});

test('keys change under traffic and no packet is lost', async (t) => {
  const { a, web } = await pair(t, 'sealr', '--link-rekey-seconds', String(REKEY_SECONDS));
  const interval = 0.02;
  const count = TRAFFIC_SECONDS / interval;
  const pings = await web.tryRun(
    'ping',
    ['-q', '-n', '-i', String(interval), '-c', String(count), '-W', '5', '10.7.0.3'],
    { timeoutMs: 240_000 },
  );
  t.regex(
    pings.stdout,
    new RegExp(`${count} packets transmitted, ${count} received, 0% packet loss`),
  );
  const [link] = (await a.status()).links.peers;
  // It began before the traffic did, so that its key has been changed at least twice.
  t.true((link?.keyAgeSeconds ?? Infinity) <= REKEY_SECONDS + 1);
});

test('a token that is cut, wrong, expired, spent or revoked is refused in one sentence', async (t) => {
  const mesh = await makeHosts(t, 'token', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  for (const host of [a, b, c]) await host.up();
  const refused = async (word: string, why: RegExp): Promise<void> => {
    const { status, stderr, stdout } = await c.tryWeft('join', a.host.address, '--token', word);
    t.is(status, 1, stdout);
    t.regex(stderr, why);
    t.regex(stderr, /^weft: [A-Z][^\n]*\.\n$/);
  };
  const tokens = (): Promise<TokenInfo[]> => a.json<TokenInfo[]>('token', 'ls');

  const once = await token(a);
  await b.weft('join', a.host.address, '--token', once);
  await refused(once, /as often as it may be/);
  await refused(once.slice(0, -3), /none, or not whole/);
  const parsed = parseToken(once);
  if (parsed === undefined) return t.fail('no token was printed');
  await refused(formatToken({ ...parsed, key: Buffer.alloc(32) }), /not the one that/);

  const short = await token(a, '--ttl', '1s');
  await eventually(async () => (await tokens()).at(-1)?.state !== 'valid', LONG_MS);
  const states = new Set((await tokens()).map(({ state }) => state));
  t.deepEqual(states, new Set(['spent', 'expired']));
  await refused(short, /has expired/);

  const made = await a.json<TokenText>('token', '--uses', '2');
  await a.weft('token', 'revoke', made.id);
  await refused(made.token, /was revoked/);
  t.is((await c.peers()).length, 1, 'whom c was refused by, it has not joined');

  // Openly joined, it is told that sealed networks do not reach it; by a token they do.
  await c.weft('join', a.host.address);
  await waitForPeers(a, 3);
  await network(mesh, 'blue', '10.7.0.0/24', 'sealed');
  t.true((await a.status()).warnings.some((text) => /Host c has not joined by a token/.test(text)));
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.attach('blue', web, '10.7.0.2');
  await c.json<EndpointInfo>('attach', 'blue', '--netns', db.name, '--ip', '10.7.0.3');
  const file = join(a.directory, 'token');
  writeFileSync(file, `${await token(a)}\n`);
  t.false(await web.answers('10.7.0.3'));
  await c.weft('join', a.host.address, '--token-file', file);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
});
