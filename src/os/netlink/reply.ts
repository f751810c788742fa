import { ATTRIBUTE_BYTES, HEADER_BYTES } from './message.ts';

export type Attributes = ReadonlyMap<number, Buffer>;

/** Cuts at a length that does not fit: the kernel's, so that never happens, and never reads beyond. */
export function attributesOf(bytes: Buffer): Attributes {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + ATTRIBUTE_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_BYTES) break;
    // The two upper bits tell of nesting and byte order.
    const type = bytes.readUInt16LE(at + 2) & 0x3fff;
    found.set(type, bytes.subarray(at + ATTRIBUTE_BYTES, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

/** A message behind its nlmsghdr. */
export interface ReplyMessage {
  readonly type: number;
  readonly head: Buffer;
  readonly attributes: Attributes;
}

/** Cuts what a dump answered into messages whose head, behind the nlmsghdr, has so many bytes. */
export function messagesOf(bytes: Buffer, headBytes: number): ReplyMessage[] {
  const messages = [];
  for (let at = 0; at + HEADER_BYTES + headBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER_BYTES + headBytes) break;
    const body = bytes.subarray(at + HEADER_BYTES, at + length);
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      head: body.subarray(0, headBytes),
      attributes: attributesOf(body.subarray(headBytes)),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

export const text = (value: Buffer | undefined): string =>
  value?.toString().replace(/\0.*$/s, '') ?? '';
export const number = (value: Buffer | undefined): number | undefined =>
  value === undefined || value.length < 4 ? undefined : value.readUInt32LE(0);
