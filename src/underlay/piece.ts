import { readU16, readU32, writeU16, writeU32 } from '../wire/bytes.ts';

/**
 * Exchanges over datagrams (docs/wire-format.md): one request and one answer, each cut into pieces.
 * Big-endian. All begin alike:
 *
 *   0               8               16                                          80
 *   |     kind      |     side      |  exchange (64): chosen by who asks         |
 *
 *   0x60 piece            index (16) · index of the last piece (16) · up to 448 bytes of the message
 *   0x61 acknowledgement  of a side: first index missing (16) · which of the 64 after it are there (64)
 *   0x62 refusal          of a request that gets no answer
 */
export const PIECE_KIND = { piece: 0x60, acknowledgement: 0x61, refusal: 0x62 } as const;

/** Message bytes in every piece but the last: with all headers around it fits an underlay of 600 bytes. */
export const PIECE_BYTES = 448;
/** Pieces that an acknowledgement names one by one, beyond the first that is missing. */
export const NAMED_PIECES = 64;

export type Side = 'request' | 'answer';

export type ExchangeDatagram =
  | {
      readonly kind: 'piece';
      readonly side: Side;
      readonly exchange: string;
      readonly index: number;
      readonly last: number;
      /** A view of the datagram. */
      readonly bytes: Buffer;
    }
  | {
      readonly kind: 'acknowledgement';
      readonly side: Side;
      readonly exchange: string;
      /** All before it are there. */
      readonly missing: number;
      /** Bit i: piece `missing + 1 + i` is there. */
      readonly later: bigint;
    }
  | { readonly kind: 'refusal'; readonly exchange: string };

const EXCHANGE_AT = 2;
const HEAD_BYTES = 10;
export const EXCHANGE_BYTES = 8;
const PIECE_HEAD_BYTES = HEAD_BYTES + 4;
const ACKNOWLEDGEMENT_BYTES = HEAD_BYTES + 10;

function head(kind: number, side: Side, exchange: string, bytes: number): Buffer {
  const datagram = Buffer.alloc(bytes);
  datagram[0] = kind;
  datagram[1] = side === 'answer' ? 1 : 0;
  datagram.write(exchange, EXCHANGE_AT, 'hex');
  return datagram;
}

/** Piece `index` of `message`. */
export function encodePiece(
  side: Side,
  exchange: string,
  message: Uint8Array,
  index: number,
): Buffer {
  const body = message.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
  const datagram = head(PIECE_KIND.piece, side, exchange, PIECE_HEAD_BYTES + body.length);
  writeU16(datagram, HEAD_BYTES, index);
  writeU16(datagram, HEAD_BYTES + 2, lastPiece(message.length));
  datagram.set(body, PIECE_HEAD_BYTES);
  return datagram;
}

export function encodeAcknowledgement(
  side: Side,
  exchange: string,
  { missing, later }: { readonly missing: number; readonly later: bigint },
): Buffer {
  const datagram = head(PIECE_KIND.acknowledgement, side, exchange, ACKNOWLEDGEMENT_BYTES);
  writeU16(datagram, HEAD_BYTES, missing);
  writeU32(datagram, HEAD_BYTES + 2, Number(later >> 32n));
  writeU32(datagram, HEAD_BYTES + 6, Number(later & 0xffff_ffffn));
  return datagram;
}

export const encodeRefusal = (exchange: string): Buffer =>
  head(PIECE_KIND.refusal, 'answer', exchange, HEAD_BYTES);

/** Index of the last piece of a message of `bytes`; an empty one has one piece. */
export const lastPiece = (bytes: number): number => Math.max(0, Math.ceil(bytes / PIECE_BYTES) - 1);

/** Undefined for bytes that are none of the three. */
export function decodeExchangeDatagram(datagram: Buffer): ExchangeDatagram | undefined {
  const [kind, sideByte] = datagram;
  if (datagram.length < HEAD_BYTES || sideByte === undefined || sideByte > 1) return undefined;
  const side = sideByte === 1 ? 'answer' : 'request';
  const exchange = datagram.toString('hex', EXCHANGE_AT, HEAD_BYTES);
  switch (kind) {
    case PIECE_KIND.piece:
      return decodePiece(datagram, side, exchange);
    case PIECE_KIND.acknowledgement: {
      if (datagram.length !== ACKNOWLEDGEMENT_BYTES) return undefined;
      const later =
        (BigInt(readU32(datagram, HEAD_BYTES + 2)) << 32n) |
        BigInt(readU32(datagram, HEAD_BYTES + 6));
      return {
        kind: 'acknowledgement',
        side,
        exchange,
        missing: readU16(datagram, HEAD_BYTES),
        later,
      };
    }
    case PIECE_KIND.refusal:
      return datagram.length === HEAD_BYTES && side === 'answer'
        ? { kind: 'refusal', exchange }
        : undefined;
    case undefined:
    default:
      return undefined;
  }
}

function decodePiece(datagram: Buffer, side: Side, exchange: string): ExchangeDatagram | undefined {
  if (datagram.length < PIECE_HEAD_BYTES) return undefined;
  const index = readU16(datagram, HEAD_BYTES);
  const last = readU16(datagram, HEAD_BYTES + 2);
  const bytes = datagram.subarray(PIECE_HEAD_BYTES);
  const fits = index < last ? bytes.length === PIECE_BYTES : index === last;
  if (!fits || bytes.length > PIECE_BYTES) return undefined;
  // An empty last piece belongs to an empty message alone.
  if (bytes.length === 0 && last > 0) return undefined;
  return { kind: 'piece', side, exchange, index, last, bytes };
}
