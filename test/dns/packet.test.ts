import packet, { type Answer } from 'dns-packet';
import test from 'ava';
import fc from 'fast-check';
import {
  encodeRefusal,
  encodeReply,
  isReplyTo,
  parseQuery,
  RCODE,
  withId,
  type Query,
} from '../../src/dns/packet.ts';
import { check } from '../fakes/property.ts';

function ask(name: string, type = 'A', edns?: number): Buffer {
  const opt: Answer = {
    ...{ type: 'OPT', name: '.', udpPayloadSize: edns ?? 0, extendedRcode: 0 },
    ...{ ednsVersion: 0, flags: 0, flag_do: false, options: [] },
  };
  return packet.encode({
    ...{ type: 'query', id: 0x1234, flags: packet.RECURSION_DESIRED },
    questions: [{ type: type as 'A', name, class: 'IN' }],
    additionals: edns === undefined ? [] : [opt],
  });
}

function query(bytes: Buffer): Query {
  const parsed = parseQuery(bytes);
  if (parsed.kind !== 'query') throw new Error(`it is ${parsed.kind}`);
  return parsed.query;
}

const addresses = (name: string, count: number): Answer[] =>
  Array.from({ length: count }, (_, index) => ({
    ...({
      type: 'A',
      name,
      class: 'IN',
      ttl: 1,
      data: `10.0.${index >> 8}.${index & 255}`,
    } as const),
  }));

test('a question comes back as it was asked, letter by letter', (t) => {
  const asked = query(ask('WeB.weft.LOCAL'));
  t.is(asked.name, 'WeB.weft.LOCAL');
  t.like(asked, { id: 0x1234, type: 'A', class: 'IN', recursionDesired: true });
  const answers = addresses(asked.name, 2);
  const reply = packet.decode(
    encodeReply(asked, { rcode: 0, isAuthoritative: true, answers }, 'udp'),
  );
  t.like(reply, { id: 0x1234, type: 'response', flag_aa: true, flag_rd: true, flag_ra: true });
  t.false(reply.flag_tc);
  t.is(reply.questions?.[0]?.name, 'WeB.weft.LOCAL');
  t.deepEqual(
    reply.answers?.map((each) => [each.type, each.name, 'data' in each && each.data]),
    [
      ['A', 'WeB.weft.LOCAL', '10.0.0.0'],
      ['A', 'WeB.weft.LOCAL', '10.0.0.1'],
    ],
  );
  t.is(reply.additionals?.length, 0);
});

test('an answer is cut to what the asker takes, and says so', (t) => {
  const cases: readonly (readonly [number | undefined, 'udp' | 'tcp', number])[] = [
    [undefined, 'udp', 512],
    [100, 'udp', 512],
    [700, 'udp', 700],
    [65_535, 'udp', 1232],
    [undefined, 'tcp', 65_535],
  ];
  for (const [edns, transport, room] of cases) {
    const asked = query(ask('web.weft.local', 'A', edns));
    const answers = addresses(asked.name, 200);
    const bytes = encodeReply(asked, { rcode: 0, answers }, transport);
    const reply = packet.decode(bytes);
    t.true(bytes.length <= room, `${bytes.length} bytes for ${room}`);
    t.true(transport === 'tcp' || bytes.length > room - 40, 'as many as fit');
    t.is(reply.flag_tc, transport === 'udp');
    t.is(reply.answers?.length === 200, transport === 'tcp');
    t.is(reply.additionals?.length, edns === undefined ? 0 : 1);
  }
});

test('an EDNS version that is not ours is named so', (t) => {
  const asked = query(ask('web.weft.local', 'A', 1232));
  const bytes = encodeReply(asked, { rcode: RCODE.badVersion }, 'udp');
  const [opt] = packet.decode(bytes).additionals ?? [];
  t.is(bytes[3] === undefined ? 0 : bytes[3] & 0xf, 0);
  t.like(opt, { type: 'OPT', extendedRcode: 1, ednsVersion: 0 });
});

test('what is no query is ignored, or refused with a bare header', (t) => {
  const good = ask('web.weft.local');
  const changed = (at: number, ...bytes: number[]): Buffer => {
    const copy = Buffer.from(good);
    copy.set(bytes, at);
    return copy;
  };
  t.is(parseQuery(Buffer.alloc(0)).kind, 'ignore');
  t.is(parseQuery(good.subarray(0, 11)).kind, 'ignore');
  t.is(parseQuery(changed(2, 0x80)).kind, 'ignore', 'an answer');
  const refused: readonly (readonly [string, Buffer, number])[] = [
    ['a status request', changed(2, 0x10), RCODE.notImplemented],
    ['no question', changed(4, 0, 0), RCODE.formatError],
    ['two questions', changed(4, 0, 2), RCODE.formatError],
    ['an answer in a query', changed(6, 0, 1), RCODE.formatError],
    ['65,535 additionals', changed(10, 0xff, 0xff), RCODE.formatError],
    ['a name that ends nowhere', good.subarray(0, 20), RCODE.formatError],
    ['no type and class', good.subarray(0, good.length - 4), RCODE.formatError],
    ['a pointer to itself', changed(12, 0xc0, 12), RCODE.formatError],
    ['a pointer forward', changed(12, 0xc0, 20), RCODE.formatError],
    ['a pointer into the header', changed(12, 0xc0, 0), RCODE.formatError],
    ['a label of 64 bytes', changed(12, 64), RCODE.formatError],
  ];
  for (const [what, bytes, rcode] of refused) {
    t.deepEqual(parseQuery(bytes), { kind: 'refuse', rcode } as never, what);
    const refusal = encodeRefusal(bytes, rcode as 1);
    t.is(refusal.length, 12);
    t.is(refusal.readUInt16BE(0), 0x1234);
    t.is((refusal[3] ?? 0) & 0xf, rcode);
    t.true(((refusal[2] ?? 0) & 0x80) !== 0);
  }
});

test('a name longer than names may be is refused', (t) => {
  const label = `\x3f${'x'.repeat(63)}`;
  const header = ask('').subarray(0, 12);
  for (const labels of [4, 1000]) {
    const name = Buffer.from(`${label.repeat(labels)}\0\0\x01\0\x01`, 'latin1');
    t.is(parseQuery(Buffer.concat([header, name])).kind, 'refuse');
  }
});

test('any bytes are a query, a refusal or nothing, and every reply is within bounds', (t) => {
  const header = fc.constant([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  const tail = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 3, 0xc0, 12, 41)), {
    maxLength: 80,
  });
  const almost = fc
    .tuple(fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([cut, changes]) => {
      const bytes = Buffer.from(ask('a.Web.weft.local', 'AAAA', 1232));
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return [...bytes.subarray(0, bytes.length - (cut % 12))];
    });
  const bytes = fc.oneof(
    fc.array(fc.nat(255), { maxLength: 100 }),
    fc.tuple(header, tail).map(([head, rest]) => [...head, ...rest]),
    almost,
  );
  const property = fc.property(bytes, fc.constantFrom('udp', 'tcp'), (input, transport) => {
    const message = Buffer.from(input);
    const parsed = parseQuery(message);
    if (parsed.kind === 'ignore') return message.length < 12 || (message[2] ?? 0) >= 0x80;
    if (parsed.kind === 'refuse') return encodeRefusal(message, parsed.rcode).length === 12;
    const answers = addresses('web.weft.local', 60);
    const reply = encodeReply(parsed.query, { rcode: 0, answers }, transport);
    const { question } = parsed.query;
    return (
      reply.length <= (transport === 'udp' ? 1232 : 65_535) &&
      reply.subarray(12, 12 + question.length).equals(question) &&
      isReplyTo(reply, parsed.query.id, parsed.query)
    );
  });
  t.notThrows(() => check(property, 5000));
});

test('a reply is one only with the id and the question that were sent', (t) => {
  const asked = query(ask('example.com'));
  const reply = encodeReply(asked, { rcode: 0 }, 'udp');
  t.true(isReplyTo(reply, 0x1234, asked));
  t.true(isReplyTo(encodeReply(query(ask('EXAMPLE.com')), { rcode: 0 }, 'udp'), 0x1234, asked));
  t.true(isReplyTo(withId(reply, 7), 7, asked));
  t.true(isReplyTo(encodeRefusal(ask('example.com'), RCODE.formatError), 0x1234, asked));
  t.false(isReplyTo(reply, 0x1235, asked));
  t.false(isReplyTo(ask('example.com'), 0x1234, asked), 'the query itself');
  t.false(isReplyTo(encodeReply(query(ask('example.org')), { rcode: 0 }, 'udp'), 0x1234, asked));
  t.false(isReplyTo(reply.subarray(0, 20), 0x1234, asked));
  t.false(isReplyTo(Buffer.alloc(3), 0, asked));
});
