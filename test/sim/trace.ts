import { idOf } from '../fakes/fake-signatures.ts';
import { decodeDatagram, decodeHeader, type Datagram } from '../../src/gossip/message.ts';
import type { SimHost } from './host.ts';

/** Datagrams remembered of each sender. */
const KEPT = 32;
/** Columns of a diagram; other hosts share one more. */
const COLUMNS = 5;
const COLUMN_CHARS = 14;

interface Message {
  readonly at: number;
  readonly from: SimHost;
  /** Undefined: nobody is at that address. */
  readonly to: SimHost | undefined;
  readonly bytes: Uint8Array;
  /** When it arrives; Infinity: lost. */
  readonly arrivesAt: number;
}

/** The last datagrams that each host sent, so that a failed run can show what led to the failure. */
export class Trace {
  readonly #bySender = new Map<SimHost, Message[]>();

  note(
    at: number,
    from: SimHost,
    to: SimHost | undefined,
    bytes: Uint8Array,
    delayMs: number,
  ): void {
    let messages = this.#bySender.get(from);
    if (messages === undefined) this.#bySender.set(from, (messages = []));
    messages.push({ at, from, to, bytes, arrivesAt: at + delayMs });
    if (messages.length >= 2 * KEPT) messages.splice(0, KEPT);
  }

  /** The last `count` datagrams from or to `hosts` as a sequence diagram, times in seconds. */
  diagram(hosts: readonly SimHost[], count = 40): string {
    const isConcerned = ({ from, to }: Message): boolean =>
      hosts.includes(from) || (to !== undefined && hosts.includes(to));
    const messages = [...this.#bySender.values()]
      .flat()
      .filter(isConcerned)
      .sort((one, other) => one.at - other.at)
      .slice(-count);
    const columns = columnsOf(hosts, messages);
    const titles = columns.map(({ name }) => name.padEnd(COLUMN_CHARS).slice(0, COLUMN_CHARS));
    const head = `${' '.repeat(12)}${titles.join('')}others`;
    return [head, ...messages.map((message) => line(message, columns))].join('\n');
  }
}

/** The hosts concerned, and after them whoever speaks most with them. */
function columnsOf(hosts: readonly SimHost[], messages: readonly Message[]): SimHost[] {
  const talk = new Map<SimHost, number>();
  for (const { from, to } of messages) {
    for (const host of to === undefined ? [from] : [from, to]) {
      talk.set(host, (talk.get(host) ?? 0) + 1);
    }
  }
  const others = [...talk].filter(([host]) => !hosts.includes(host)).sort((a, b) => b[1] - a[1]);
  return [...hosts, ...others.map(([host]) => host)].slice(0, COLUMNS);
}

/** `   12.345  |------------------------->|             |   ping 7, host-3 suspect@1 by host-9` */
function line({ at, from, to, bytes, arrivesAt }: Message, columns: readonly SimHost[]): string {
  const columnOf = (host: SimHost | undefined): number => {
    const column = host === undefined ? -1 : columns.indexOf(host);
    return column < 0 ? columns.length : column;
  };
  const [start, end] = [columnOf(from) * COLUMN_CHARS, columnOf(to) * COLUMN_CHARS];
  const width = columns.length * COLUMN_CHARS + 1;
  const cells = Array.from({ length: width }, (_, cell): string =>
    cell % COLUMN_CHARS === 0 ? '|' : ' ',
  );
  const [left, right] = [Math.min(start, end), Math.max(start, end)];
  for (let cell = left + 1; cell < right; cell++) cells[cell] = '-';
  const tip = Number.isFinite(arrivesAt) ? '>' : 'x';
  if (end > start) cells[end - 1] = tip;
  else if (end < start) cells[end + 1] = tip === '>' ? '<' : tip;
  else cells[end] = '*';
  return `${(at / 1000).toFixed(3).padStart(10)}  ${cells.join('')}  ${describe(bytes)}`;
}

function describe(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  const header = decodeHeader(buffer);
  const datagram = header && decodeDatagram(buffer, header.bodyAt, idOf);
  if (datagram === undefined) return `${bytes.length} bytes`;
  const { body, rows } = datagram;
  const sequence = 'sequence' in body ? ` ${body.sequence}` : '';
  const rowText = rows.length > 0 ? [`${rows.length} rows`] : [];
  return [`${body.kind}${sequence}`, ...claimTexts(datagram), ...rowText].join(', ');
}

const CLAIMS_SHOWN = 3;

function claimTexts({ claims }: Datagram): string[] {
  const texts = claims
    .slice(0, CLAIMS_SHOWN)
    .map(({ record: { name, state, incarnation } }) => `${name} ${state}@${incarnation}`);
  const more = claims.length - CLAIMS_SHOWN;
  return more > 0 ? [...texts, `${more} more claims`] : texts;
}
