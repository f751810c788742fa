import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo, TokenInfo, TokenText } from '../../src/api/control.ts';
import { seededRng } from '../../src/base/rng.ts';
import { formatToken, parseToken } from '../../src/link/token.ts';
import { linkTo } from './links.ts';
import {
  attachPair,
  eventually,
  makeHosts,
  OPEN,
  PLAIN,
  startMesh,
  upJoined,
  waitForPeers,
  type TestMesh,
  type WeftHost,
} from './mesh.ts';

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

test('115_optional_encryption: beside a plain network, 10 MB each way over a sealed one: intact, and nothing of it shows on the underlay', async (t) => {
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
    const other = host === a ? b : a;
    t.deepEqual((await linkTo(host, other)).encapsulations, ['sealed', 'vxlan']);
    const plain = (await host.status()).warnings.filter((text) => /not encrypted/.test(text));
    t.is(plain.length, 1);
    t.regex(plain[0] ?? '', /^Network plain: plain VXLAN, not encrypted;/);
  }
});

test('110_sleeve_encryption: without the native data plane frames are sealed too, and both ends say so', async (t) => {
  const mesh = await startMesh(t, 's110', ['a', 'b'], 'portable');
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const web = await attachPair(mesh, [a, b]);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  for (const [host, peer] of [
    [a, b],
    [b, a],
  ] as const) {
    await eventually(async () => (await linkTo(host, peer)).keys === 'sealed', LONG_MS);
    t.deepEqual((await linkTo(host, peer)).encapsulations, ['sealed']);
    t.regex(await host.weft('links', peer.name), /; sealed \((aes-256-gcm|chacha20-poly1305)\)$/im);
    t.true((await host.weft('metrics')).includes(`\nweft_link_sealed{peer="${peer.name}"} 1\n`));
    t.false((await host.status()).warnings.some((text) => /not encrypted/.test(text)));
  }
});

/** Of a mesh: none is part of what Weft or the programs of the test say of themselves. */
const NAMES = {
  hosts: ['lapislazuli', 'obsidian'],
  network: 'zanzibar',
  endpoints: ['samarkand', 'bukhara'],
} as const;
const SECRETS: readonly string[] = [...NAMES.hosts, NAMES.network, ...NAMES.endpoints];
const TRANSFER = { bytes: 10_000_000, seed: 3 } as const;
/** Of the transfer: so many pieces of 16 bytes from all over it. */
const PIECES = 100;

/** What `LabNamespace.transferTo` sends, in pieces. */
function piecesOfTransfer(): Buffer[] {
  const rng = seededRng(TRANSFER.seed);
  const whole = Buffer.alloc(TRANSFER.bytes);
  for (let at = 0; at < whole.length; at++) whole[at] = rng.next() * 256;
  const step = TRANSFER.bytes / PIECES;
  return Array.from({ length: PIECES }, (_, index) => whole.subarray(index * step).subarray(0, 16));
}

/** What the datagrams and, each way of each connection, the streams of the mesh port carried. */
async function meshPortOf(host: WeftHost, path: string): Promise<Buffer[]> {
  const fields = ['tcp.stream', 'tcp.srcport', 'tcp.payload', 'udp.payload'];
  const text = await host.namespace.run('tshark', [
    ...['-r', path, '-n', '-Y', 'udp.port == 7783 || tcp.port == 7783', '-T', 'fields'],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  const flows = new Map<string, Buffer[]>();
  for (const line of text.split('\n')) {
    const [stream = '', port = '', segment = '', datagram = ''] = line.split('\t');
    const bytes = Buffer.from(segment + datagram, 'hex');
    const flow = `${stream} ${port}`;
    flows.set(flow, [...(flows.get(flow) ?? []), bytes]);
  }
  return [...flows.values()].map((each) => Buffer.concat(each));
}

interface Shown {
  /** Datagrams and streams of the mesh port, in bytes. */
  readonly meshPortBytes: number;
  readonly streams: number;
  /** Names that those carried. */
  readonly names: readonly string[];
  /** Pieces of the transfer that showed, on whatever port. */
  readonly pieces: number;
}

/** From the first start of a daemon on: a host joins, a network is made, endpoints attach, and 10 MB cross. */
async function shownByUnderlay(
  t: ExecutionContext,
  area: string,
  up: readonly string[],
  create: readonly string[],
): Promise<Shown> {
  const mesh = await makeHosts(t, area, NAMES.hosts);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const path = join(a.directory, 'underlay.pcap');
  const capture = ['-i', a.host.ifname, '-B', '64', '-n', '-l', '-w', path];
  const shark = a.namespace.start('tshark', capture);
  await shark.waitForLine(/Capture started/, LONG_MS);

  await a.up(...up);
  await upJoined(b, a, ...up);
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  await a.weft('network', 'create', NAMES.network, '--subnet', '10.7.0.0/24', ...create);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', NAMES.network)).status === 0,
    LONG_MS,
  );
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const [first, second] = NAMES.endpoints;
  await a.attach(NAMES.network, web, '10.7.0.2', '--dns-name', first);
  await b.attach(NAMES.network, db, '10.7.0.3', '--dns-name', second);
  await eventually(async () => (await a.weft('dns', 'ls')).includes(second), LONG_MS);
  await eventually(async () => (await b.weft('dns', 'ls')).includes(first), LONG_MS);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  const sent = await web.transferTo(db, { address: '10.7.0.3', ...TRANSFER });
  t.true(sent.isIntact);
  await eventually(() => Promise.resolve(statSync(path).size > TRANSFER.bytes), LONG_MS);
  shark.signal('SIGINT');
  await shark.exited;

  const flows = await meshPortOf(a, path);
  const seen = readFileSync(path);
  return {
    meshPortBytes: flows.reduce((sum, { length }) => sum + length, 0),
    streams: flows.length - 1,
    names: SECRETS.filter((name) => flows.some((flow) => flow.includes(name))),
    pieces: piecesOfTransfer().filter((piece) => seen.includes(piece)).length,
  };
}

test('the underlay of a default mesh shows no name and nothing of a 10 MB transfer', async (t) => {
  const { meshPortBytes, streams, names, pieces } = await shownByUnderlay(t, 'dark', [], []);
  t.deepEqual(names, []);
  t.is(pieces, 0);
  // The frames went by the mesh port, and streams were seen.
  t.true(meshPortBytes > TRANSFER.bytes, `${meshPortBytes} bytes`);
  t.true(streams >= 2, `${streams} ways of streams`);
});

test('the underlay of an open mesh shows every name, and of a plain network every frame', async (t) => {
  const { names, pieces } = await shownByUnderlay(t, 'light', OPEN, PLAIN);
  t.deepEqual(names, SECRETS);
  // A piece may lie across two segments.
  t.true(pieces >= PIECES * 0.9, `${pieces} of ${PIECES}`);
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

  // Without one it is told what to do; by one, given in a file, it is of the mesh.
  const without = await c.tryWeft('join', a.host.address);
  t.regex(without.stderr, /^weft: [^\n]*"weft token" there[^\n]*\.\n$/);
  t.is((await c.peers()).length, 1);
  const file = join(a.directory, 'token');
  writeFileSync(file, `${await token(a)}\n`);
  await c.weft('join', a.host.address, '--token-file', file);
  await waitForPeers(a, 3);
  await network(mesh, 'blue', '10.7.0.0/24', 'sealed');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.attach('blue', web, '10.7.0.2');
  await c.json<EndpointInfo>('attach', 'blue', '--netns', db.name, '--ip', '10.7.0.3');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
});
