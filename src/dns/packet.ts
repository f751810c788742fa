import packet, { type Answer, type SoaAnswer } from 'dns-packet';

/*
 * DNS messages (RFC 1035 §4.1) through dns-packet, with what it leaves to its caller: the header is judged
 * before anything is decoded, the question is echoed byte by byte (so that letters keep their case and
 * labels what they hold), and answers are cut to what the asker takes.
 *
 *   0    2       4        6        8        10       12
 *   | id | flags | qdcount| ancount| nscount| arcount| question …     all big-endian
 *   flags:  QR 1 | opcode 4 | AA TC RD RA | Z AD CD | rcode 4
 */
const HEADER_BYTES = 12;
const AT = { id: 0, flags: 2, questions: 4, answers: 6, authorities: 8, additionals: 10 } as const;
const QR = 0x8000;
const OPCODE_MASK = 0x7800;
/** Type and class follow the name of a question. */
const QUESTION_TAIL_BYTES = 4;
/** EDNS and a signature: more no query has. */
const MAX_ADDITIONALS = 2;

/** RFC 1035 §4.1.1 and RFC 6891 §9. */
export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** What every resolver takes over UDP (RFC 1035 §4.2.1). */
const PLAIN_UDP_BYTES = 512;
/** What we take, and send at most over UDP: no path fragments it (DNS flag day 2020). */
const EDNS_UDP_BYTES = 1232;
const TCP_BYTES = 65_535;

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** The name as it was asked, without the last dot; `.` is the root. */
  readonly name: string;
  /** Such as `A`; `UNKNOWN_n` for those without a name. */
  readonly type: string;
  readonly class: string;
  /** The question's bytes in the query's own buffer. */
  readonly question: Uint8Array;
  /** Absent: the asker knows no EDNS (RFC 6891). */
  readonly edns?: { readonly udpBytes: number; readonly version: number };
}

/** What a query's bytes are. */
export type Parsed =
  | { readonly kind: 'query'; readonly query: Query }
  /** Not to be answered: no header, or itself an answer (two servers would talk for ever). */
  | { readonly kind: 'ignore' }
  /** To be refused with a bare header. */
  | { readonly kind: 'refuse'; readonly rcode: Rcode };

export interface Reply {
  readonly rcode: Rcode;
  /** We own the name: nobody else knows better. */
  readonly isAuthoritative?: boolean;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly SoaAnswer[];
}

/** Reads a query. Never throws, and does no more work than two records and a question cost. */
export function parseQuery(bytes: Uint8Array): Parsed {
  const buffer = asBuffer(bytes);
  if (buffer.length < HEADER_BYTES) return { kind: 'ignore' };
  const flags = buffer.readUInt16BE(AT.flags);
  if ((flags & QR) !== 0) return { kind: 'ignore' };
  if ((flags & OPCODE_MASK) !== 0) return { kind: 'refuse', rcode: RCODE.notImplemented };
  const isPlain =
    buffer.readUInt16BE(AT.questions) === 1 &&
    buffer.readUInt16BE(AT.answers) === 0 &&
    buffer.readUInt16BE(AT.authorities) === 0 &&
    buffer.readUInt16BE(AT.additionals) <= MAX_ADDITIONALS;
  const query = isPlain ? decode(buffer) : undefined;
  return query === undefined
    ? { kind: 'refuse', rcode: RCODE.formatError }
    : { kind: 'query', query };
}

function decode(buffer: Buffer): Query | undefined {
  try {
    const {
      id,
      questions = [],
      additionals = [],
      flag_rd: recursionDesired,
    } = packet.decode(buffer);
    const [question] = questions;
    const end = endOfQuestion(buffer);
    if (question === undefined || end === undefined) return undefined;
    const opt = additionals.find((each) => each.type === 'OPT');
    return {
      ...{ id: id ?? 0, recursionDesired, name: question.name },
      ...{ type: question.type, class: question.class ?? 'IN' },
      question: buffer.subarray(HEADER_BYTES, end),
      ...(opt && { edns: { udpBytes: opt.udpPayloadSize, version: opt.ednsVersion } }),
    };
  } catch {
    // dns-packet reports what is malformed by throwing; the caller counts it.
    return undefined;
  }
}

/** A question's name is written out: a pointer (RFC 1035 §4.1.4) has nothing before it to point to. */
function endOfQuestion(buffer: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (;;) {
    const length = buffer[at];
    if (length === undefined || length > 63) return undefined;
    at += 1 + length;
    if (length > 0) continue;
    return at + QUESTION_TAIL_BYTES <= buffer.length ? at + QUESTION_TAIL_BYTES : undefined;
  }
}

/** As many bytes as the asker takes for an answer. */
function roomFor({ edns }: Query, transport: 'udp' | 'tcp'): number {
  if (transport === 'tcp') return TCP_BYTES;
  return Math.min(EDNS_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, edns?.udpBytes ?? 0));
}

/** The answer to a query; cut, and marked so (TC), if the asker doesn't take all of it. */
export function encodeReply(query: Query, reply: Reply, transport: 'udp' | 'tcp'): Buffer {
  const { rcode, answers = [], authorities = [] } = reply;
  const opt: Answer[] = query.edns === undefined ? [] : [optRecord(rcode)];
  const whole = { answers: [...answers], authorities: [...authorities], additionals: opt };
  const room = roomFor(query, transport) - query.question.length;
  if (packet.encodingLength(whole) <= room) return assemble(query, reply, whole, false);
  const cut = { answers: fitting(answers, room, opt), authorities: [], additionals: opt };
  return assemble(query, reply, cut, true);
}

function fitting(answers: readonly Answer[], room: number, opt: Answer[]): Answer[] {
  const bare = packet.encodingLength({ additionals: opt });
  const fit: Answer[] = [];
  let used = bare;
  for (const answer of answers) {
    used += packet.encodingLength({ answers: [answer] }) - HEADER_BYTES;
    if (used > room) break;
    fit.push(answer);
  }
  return fit;
}

interface Sections {
  readonly answers: Answer[];
  readonly authorities: Answer[];
  readonly additionals: Answer[];
}

function assemble(query: Query, reply: Reply, sections: Sections, isCut: boolean): Buffer {
  const flags =
    (reply.isAuthoritative === true ? packet.AUTHORITATIVE_ANSWER : 0) |
    (isCut ? packet.TRUNCATED_RESPONSE : 0) |
    (query.recursionDesired ? packet.RECURSION_DESIRED : 0) |
    packet.RECURSION_AVAILABLE |
    (reply.rcode & 0xf);
  const rest = packet.encode({ type: 'response', id: query.id, flags, ...sections });
  const bytes = Buffer.allocUnsafe(rest.length + query.question.length);
  rest.copy(bytes, 0, 0, HEADER_BYTES);
  bytes.writeUInt16BE(1, AT.questions);
  bytes.set(query.question, HEADER_BYTES);
  rest.copy(bytes, HEADER_BYTES + query.question.length, HEADER_BYTES);
  return bytes;
}

function optRecord(rcode: Rcode): Answer {
  return {
    ...{ type: 'OPT', name: '.', udpPayloadSize: EDNS_UDP_BYTES, extendedRcode: rcode >> 4 },
    ...{ ednsVersion: 0, flags: 0, flag_do: false, options: [] },
  };
}

/** A header that refuses a query which could not be read. */
export function encodeRefusal(bytes: Uint8Array, rcode: Rcode): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const flags = asBuffer(bytes).readUInt16BE(AT.flags);
  header.set(bytes.subarray(AT.id, AT.flags), AT.id);
  // Opcode and RD are the asker's.
  header.writeUInt16BE(QR | (flags & (OPCODE_MASK | packet.RECURSION_DESIRED)) | rcode, AT.flags);
  return header;
}

/** Whether `bytes` answer what `query` asked under the id: same question, in whatever case. */
export function isReplyTo(bytes: Uint8Array, id: number, { question }: Query): boolean {
  const reply = asBuffer(bytes);
  if (reply.length < HEADER_BYTES || reply.readUInt16BE(AT.id) !== id) return false;
  if ((reply.readUInt16BE(AT.flags) & QR) === 0) return false;
  // A server that could make nothing of the query may leave the question out.
  if (reply.readUInt16BE(AT.questions) === 0) return reply.length === HEADER_BYTES;
  const echoed = reply.subarray(HEADER_BYTES, HEADER_BYTES + question.length);
  return lowered(echoed).equals(lowered(asBuffer(question)));
}

/** ASCII letters in lower case; lengths of labels are below 'A'. */
function lowered(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));
}

/** A copy of a message under another id. */
export function withId(bytes: Uint8Array, id: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(id, AT.id);
  return copy;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
