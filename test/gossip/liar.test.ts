import test from 'ava';
import fc from 'fast-check';
import type { PeerId, SocketAddress } from '../../src/base/types.ts';
import { encodeClaim, encodeRow } from '../../src/gossip/cargo.ts';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import type { Effect } from '../../src/gossip/effects.ts';
import { Machine } from '../../src/gossip/machine.ts';
import type { MemberRecord } from '../../src/gossip/member.ts';
import { decodeDatagram, encodeDatagramHead, encodeHeader } from '../../src/gossip/message.ts';
import type { Row } from '../../src/gossip/replica.ts';
import {
  signMember,
  signRow,
  type MemberDescription,
  type UnsignedRow,
} from '../../src/gossip/signatures.ts';
import { presets } from '../../src/gossip/config.ts';
import { seededRng } from '../../src/base/rng.ts';
import { HostSignatures } from '../../src/link/host-signatures.ts';
import { SigningKey } from '../../src/link/signing-key.ts';
import { check } from '../fakes/property.ts';
import { at, WALL } from './fixtures.ts';

const HEADER = encodeHeader(1, 'test');
const FROM: SocketAddress = { address: '192.0.2.9', port: 7783 };

/** A host with a real key. */
class Host {
  readonly signatures = new HostSignatures(SigningKey.generate());
  readonly id: PeerId = this.signatures.idOf(this.signatures.publicKey);
  readonly address: SocketAddress;
  readonly name: string;

  constructor(name: string, last: number) {
    this.name = name;
    this.address = { address: `192.0.2.${last}`, port: 7783 };
  }

  says(change: Partial<MemberDescription> = {}): MemberRecord {
    return signMember(
      {
        ...{ id: this.id, name: this.name, address: this.address, incarnation: 1 },
        ...{ state: 'alive', protocol: { min: 1, max: 1 }, meta: new Uint8Array() },
        ...change,
      },
      this.signatures,
    );
  }

  writes(row: Partial<UnsignedRow> & { readonly key: string }): Row {
    const stamp = { millis: WALL, count: 0 };
    return signRow({ table: 'own', stamp, value: encodeCbor('true'), ...row }, this.signatures);
  }

  machine(): Machine {
    const self = this.says();
    const rng = seededRng(1);
    const { signatures } = this;
    const it = new Machine({ self, signatures, label: 'test', config: presets.lan, rng }, at(0));
    it.replica.define('own', {
      valueBytes: 100,
      validate: (value) => value,
      owner: (key) => key.split(' ')[0] as PeerId,
    });
    it.start([], at(0));
    return it;
  }
}

const [witness, owner, liar] = [new Host('witness', 1), new Host('owner', 2), new Host('liar', 3)];
const KEY = `${owner.id} web`;
const later = (ms: number): Row['stamp'] => ({ millis: WALL + ms, count: 0 });

const news = (...pieces: readonly Uint8Array[]): Buffer =>
  Buffer.concat([encodeDatagramHead(HEADER, liar.id, { kind: 'news' }), ...pieces]);
const claims = (...records: readonly MemberRecord[]): Buffer =>
  news(...records.map((record) => encodeClaim({ record })));

/** Knows owner and liar, and the owner's row. */
function informed(): Machine {
  const it = witness.machine();
  it.receive(claims(owner.says(), liar.says()), FROM, at(1));
  it.receive(news(encodeRow(owner.writes({ key: KEY }))), FROM, at(1));
  return it;
}

const valueOf = (it: Machine): unknown => it.replica.get('own', KEY)?.value;

/** Rows in datagrams among `effects`, with where they go. */
const rowsSent = (effects: readonly Effect[]): { to: string; row: Row }[] =>
  effects.flatMap((effect) => {
    if (effect.kind !== 'send') return [];
    const idOf = (key: Uint8Array): PeerId => witness.signatures.idOf(key);
    const rows = decodeDatagram(Buffer.from(effect.bytes), HEADER.length, idOf)?.rows ?? [];
    return rows.map((row) => ({ to: effect.to.address, row }));
  });

for (const [lie, row, counter] of [
  [
    'writes its row in its own name',
    liar.writes({ key: KEY, value: encodeCbor('a lie'), stamp: later(5) }),
    'rowForeign',
  ],
  [
    "writes it in the other's name",
    {
      ...liar.writes({ key: KEY, value: encodeCbor('a lie'), stamp: later(5) }),
      ...{ author: owner.id, authorKey: owner.signatures.publicKey },
    },
    'rowForged',
  ],
  [
    'changes the value that another has signed',
    { ...owner.writes({ key: KEY, stamp: later(5) }), value: encodeCbor('a lie') },
    'rowForged',
  ],
  ['makes an old version newer', { ...owner.writes({ key: KEY }), stamp: later(5) }, 'rowForged'],
  [
    'puts what another has signed under another key',
    { ...owner.writes({ key: KEY, stamp: later(5) }), key: `${owner.id} db` },
    'rowForged',
  ],
  ['deletes it', liar.writes({ key: KEY, value: undefined, stamp: later(5) }), 'rowForeign'],
] as const) {
  test(`a member that lies about others' endpoints or addresses: it ${lie}`, (t) => {
    const it = informed();
    const effects = it.receive(news(encodeRow(row)), FROM, at(10));
    t.is(valueOf(it), 'true');
    t.is(it.replica.size, 1);
    t.is(it.counters()[counter], 1);
    t.deepEqual(
      effects.filter(({ kind }) => kind === 'row'),
      [],
    );
    // A deletion is for its owner to judge; whatever else is refused goes no further.
    const told = rowsSent(effects).flatMap(({ to, row: sent }) => (sent.value ? [] : [to]));
    t.deepEqual(told, lie === 'deletes it' ? [owner.address.address] : []);
  });
}

for (const [lie, record] of [
  ['is elsewhere', liar.says({ ...owner.says(), incarnation: 2, address: FROM })],
  ['has another name', { ...owner.says({ incarnation: 2 }), name: 'mallory' }],
  ['has said something newer', { ...owner.says(), incarnation: 7 }],
  ['has left', { ...owner.says(), state: 'left' }],
] as const) {
  test(`a member that lies about others' endpoints or addresses: it tells that another ${lie}`, (t) => {
    const it = informed();
    const forged = { ...record, id: owner.id, key: owner.signatures.publicKey };
    const effects = it.receive(claims(forged), FROM, at(10));
    t.deepEqual(it.member(owner.id)?.address, owner.address);
    t.like(it.member(owner.id), { name: 'owner', state: 'alive', incarnation: 1 });
    t.is(it.counters()['claimForged'], 1);
    t.deepEqual(effects, []);
  });
}

test("a member that lies about others' endpoints or addresses: a death has to last as long as a suspicion", (t) => {
  const it = informed();
  it.receive(claims({ ...owner.says(), state: 'dead' }), FROM, at(10));
  t.is(it.member(owner.id)?.state, 'suspect');
  const self = owner.machine();
  self.receive(claims(witness.says(), { ...owner.says(), state: 'dead' }), FROM, at(11));
  t.is(self.self.incarnation, 2);
  it.receive(claims(self.self), FROM, at(12));
  t.is(it.member(owner.id)?.state, 'alive');
  it.expire({ kind: 'suspicion', id: owner.id, incarnation: 1 }, at(60_000));
  t.is(it.member(owner.id)?.state, 'alive');
});

test('a death is not told by one host for less than the time of a suspicion, and is believed then', (t) => {
  const it = informed();
  const effects = it.receive(claims({ ...owner.says(), state: 'dead' }), FROM, at(10));
  const due = effects.flatMap((effect) =>
    effect.kind === 'timer' && effect.timer.kind === 'suspicion' ? [effect.after] : [],
  );
  const after = Math.min(...due);
  t.true(after >= 3 * presets.lan.probeInterval && after < 4 * presets.lan.probeInterval);
  it.expire({ kind: 'suspicion', id: owner.id, incarnation: 1 }, at(10 + after));
  t.is(it.member(owner.id)?.state, 'dead');
});

test('rows of a host that is dead, has left or is unknown can be deleted by another', (t) => {
  for (const gone of ['dead', 'left', 'unknown'] as const) {
    const it = witness.machine();
    it.receive(claims(liar.says()), FROM, at(1));
    if (gone !== 'unknown') it.receive(claims(owner.says()), FROM, at(1));
    it.receive(news(encodeRow(owner.writes({ key: KEY }))), FROM, at(1));
    if (gone === 'left') it.receive(claims(owner.says({ state: 'left' })), FROM, at(2));
    if (gone === 'dead') {
      it.receive(claims({ ...owner.says(), state: 'dead' }), FROM, at(2));
      it.expire({ kind: 'suspicion', id: owner.id, incarnation: 1 }, at(20_000));
    }
    const deletion = liar.writes({ key: KEY, value: undefined, stamp: later(20_001) });
    it.receive(news(encodeRow(deletion)), FROM, at(20_002));
    t.is(valueOf(it), undefined, gone);
    const rewritten = liar.writes({ key: KEY, value: encodeCbor('mine'), stamp: later(20_003) });
    it.receive(news(encodeRow(rewritten)), FROM, at(20_004));
    t.is(valueOf(it), undefined, 'only the owner writes it again');
    t.is(it.counters()['rowForeign'], 1);
  }
});

test('the owner has the last word on a deletion, with what it holds', (t) => {
  for (const [what, held] of [
    ['a value', encodeCbor('true')],
    ['nothing', undefined],
  ] as const) {
    const it = owner.machine();
    it.receive(claims(liar.says()), FROM, at(1));
    if (held !== undefined) {
      const own = it.replica.prepare('own', KEY, 'true', at(1).wall);
      if (own !== undefined) it.commit(own, at(1));
    }
    const deletion = liar.writes({ key: KEY, value: undefined, stamp: later(500) });
    const effects = it.receive(news(encodeRow(deletion)), FROM, at(600));
    const [row] = effects.flatMap((effect) => (effect.kind === 'row' ? [effect.change.row] : []));
    t.is(row?.author, owner.id, what);
    t.is(row?.value === undefined, held === undefined);
    t.true((row?.stamp.millis ?? 0) >= WALL + 500);
    t.is(it.counters()['rowsRefuted'], 1);
    const other = informed();
    other.receive(news(encodeRow(row as Row)), FROM, at(700));
    t.is(valueOf(other), held === undefined ? undefined : 'true');
  }
});

test('a row that its owner has deleted long ago is deleted again by it, whoever brings it back', (t) => {
  const it = owner.machine();
  const old = owner.writes({ key: KEY, stamp: later(0 - presets.lan.tombstoneRetention) });
  const effects = it.receive(news(encodeRow(old)), FROM, at(10));
  const [row] = effects.flatMap((effect) => (effect.kind === 'row' ? [effect.change.row] : []));
  t.is(row?.value, undefined);
  t.is(row?.author, owner.id);
  const young = owner.writes({ key: KEY, stamp: later(0) });
  const fresh = owner.machine();
  fresh.receive(news(encodeRow(young)), FROM, at(10));
  t.is(valueOf(fresh), 'true', 'what was written just before a crash comes back');
});

test('of a message with a forged claim nothing more is looked at', (t) => {
  const it = informed();
  const forged = { ...owner.says(), incarnation: 7 };
  const rest = Array.from({ length: 5 }, (_, index) => ({ ...forged, incarnation: 8 + index }));
  it.receive(claims(forged, ...rest), FROM, at(10));
  t.is(it.counters()['claimForged'], 1);
});

test('a change to any byte of a claim or row that is signed changes nothing', (t) => {
  const row = encodeRow(owner.writes({ key: KEY, stamp: later(5), value: encodeCbor('false') }));
  const claim = encodeClaim({ record: owner.says({ incarnation: 2, meta: Buffer.from('meta') }) });
  const flips = fc.record({
    piece: fc.constantFrom(row, claim),
    at: fc.nat(),
    bit: fc.nat(7),
  });
  const property = fc.property(flips, ({ piece, at: place, bit }) => {
    const it = informed();
    const bytes = Buffer.from(piece);
    const index = place % bytes.length;
    bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
    it.receive(news(bytes), FROM, at(10));
    const { state, incarnation, address } = it.member(owner.id) ?? {};
    const isDoubt = state === 'suspect' && incarnation === 1;
    const isSame = state === 'alive' && incarnation === 1 && address?.address === '192.0.2.2';
    // The state but for `left` is not signed: a flip there is a suspicion of what is signed.
    const isSignedAnyway =
      incarnation === 2 && state !== 'left' && address?.address === '192.0.2.2';
    return valueOf(it) === 'true' && (isSame || isDoubt || isSignedAnyway);
  });
  t.notThrows(() => check(property, 400));
});
