import test from 'ava';
import type { PeerId } from '../../src/base/types.ts';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import type { MemberRecord } from '../../src/gossip/member.ts';
import { decodeHeader, encodeDatagramHead, encodeHeader } from '../../src/gossip/message.ts';
import { decodeAnswer, encodeRequestHead } from '../../src/gossip/sync-message.ts';
import { SIGNATURE_BYTES, signRow } from '../../src/gossip/signatures.ts';
import { HostSignatures } from '../../src/link/host-signatures.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { SigningKey } from '../../src/link/signing-key.ts';
import { lengthPrefix } from '../../src/underlay/stream-message.ts';
import { eventually, OPEN, startMesh, type WeftHost } from './mesh.ts';
import { exchange, sendDatagrams, type Target } from './raw.ts';

const LABEL = 'weft';
const LENGTH_BYTES = 4;
const DAY_MS = 86_400_000;

const hex = (...pieces: readonly Uint8Array[]): string => Buffer.concat(pieces).toString('hex');

async function meshOfTwo(
  t: Parameters<typeof startMesh>[0],
  area: string,
): Promise<{ a: WeftHost; b: WeftHost; meshPort: Target }> {
  const [a, b] = (await startMesh(t, area, ['a', 'b'], 'native', OPEN)).hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  return { a, b, meshPort: { address: a.host.address, port: 7783 } };
}

async function count(host: WeftHost, name: string): Promise<number> {
  return (await host.status()).gossip.counters[name] ?? 0;
}

/** Host b as it would describe itself; what it says is not signed. */
async function recordOf(b: WeftHost): Promise<MemberRecord> {
  const { id, name, key } = await b.status();
  return {
    ...{ key: Buffer.from(key, 'base64'), signature: new Uint8Array(SIGNATURE_BYTES) },
    ...{ id: id as PeerId, name, address: { address: b.host.address, port: 7783 } },
    ...{ incarnation: 0, state: 'alive', protocol: { min: 1, max: 1 }, meta: new Uint8Array() },
  };
}

test('gossip of another mesh version is counted as that, and the mesh goes on', async (t) => {
  const { a, b, meshPort } = await meshOfTwo(t, 'ver');
  const self = await recordOf(b);
  const news = encodeDatagramHead(encodeHeader(2, LABEL), self.id, { kind: 'news' });
  const old = encodeDatagramHead(encodeHeader(0, LABEL), self.id, { kind: 'news' });
  const stranger = encodeDatagramHead(encodeHeader(1, 'other'), self.id, { kind: 'news' });
  await sendDatagrams(b.namespace, meshPort, [hex(news), hex(old), hex(stranger)]);
  await eventually(async () => (await count(a, 'dropVersion')) === 2, 3000);
  await eventually(async () => (await count(a, 'dropLabel')) === 1, 3000);

  const request = encodeRequestHead(encodeHeader(2, LABEL), {
    ...{ protocol: { min: 2, max: 3 }, purpose: 'push-pull' },
    self: { ...self, protocol: { min: 2, max: 3 } },
  });
  const framed = Buffer.concat([lengthPrefix(request.length), request]);
  const answer = (await exchange(b.namespace, meshPort, framed)).subarray(LENGTH_BYTES);
  const { bodyAt } = decodeHeader(answer) ?? { bodyAt: 0 };
  t.deepEqual(decodeAnswer(answer, bodyAt, hostIdOf), {
    refusal: { reason: 'version', protocol: { min: 1, max: 1 } },
  });
  t.is(await count(a, 'exchangesRefused'), 1);
  t.is((await a.peers()).filter(({ state }) => state === 'alive').length, 2);
});

test('forged rows are refused and counted, and the tables stay as they were', async (t) => {
  const { a, b, meshPort } = await meshOfTwo(t, 'row');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  const self = await recordOf(b);
  const liar = new HostSignatures(SigningKey.generate());
  const liarId = liar.idOf(liar.publicKey);
  const row = (table: string, key: string, value: Uint8Array, aheadMs = 0): Uint8Array =>
    encodeRow(
      signRow({ table, key, value, stamp: { millis: Date.now() + aheadMs, count: 0 } }, liar),
    );
  const cbor = (value: unknown): Uint8Array => encodeCbor(value) ?? new Uint8Array();
  const before = await a.status();
  const head = encodeDatagramHead(encodeHeader(1, LABEL), self.id, { kind: 'news' });
  const wrongShapes = [
    row('networks', 'blue', cbor({ vni: 'forty-two' })),
    row('networks', 'blue', cbor(7)),
    row('endpoints', `${liarId} e1`, cbor({ network: 'blue', mac: -1 })),
    row('vteps', 'blue 192.0.2.9', cbor({ network: 'blue', address: 'x', port: 70_000 })),
  ];
  const brokenCbor = row('networks', 'blue', Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff));
  const fromTheFuture = row('networks', 'blue', cbor(7), 2 * DAY_MS);
  const malformed = row('no such table!', 'blue', cbor(7));
  const datagrams = [...wrongShapes, brokenCbor, fromTheFuture, malformed];
  await sendDatagrams(
    b.namespace,
    meshPort,
    datagrams.map((piece) => hex(head, piece)),
  );
  const huge = row('networks', 'blue', cbor({ subnet: 'x'.repeat(5000) }));
  const request = Buffer.concat([
    encodeRequestHead(encodeHeader(1, LABEL), {
      ...{ protocol: { min: 1, max: 1 }, purpose: 'push-pull', self },
    }),
    huge,
  ]);
  await exchange(b.namespace, meshPort, Buffer.concat([lengthPrefix(request.length), request]));

  const expected = { rowInvalid: 5, rowFuture: 1, rowMalformed: 1, rowTooLarge: 1 };
  const refused = async (): Promise<Record<string, number | undefined>> => {
    const { counters } = (await a.status()).gossip;
    return Object.fromEntries(Object.keys(expected).map((name) => [name, counters[name]]));
  };
  const total = (counts: Record<string, number | undefined>): number =>
    Object.values(counts).reduce<number>((sum, each) => sum + (each ?? 0), 0);
  await eventually(async () => total(await refused()) >= total(expected), 3000);
  t.deepEqual(await refused(), expected);
  const after = await a.status();
  t.deepEqual([after.networks, after.endpoints], [before.networks, before.endpoints]);
  t.deepEqual(after.warnings, before.warnings);
  t.like(await a.json<object>('network', 'inspect', 'blue'), { vni: 42, subnet: '10.7.0.0/24' });
  t.is((await a.peers()).filter(({ state }) => state === 'alive').length, 2);
});
