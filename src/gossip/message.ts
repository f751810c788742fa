import type { PeerId } from '../base/types.ts';
import { attempt, cargoFrom, idBytes, idFrom, type Cargo } from './cargo.ts';
import { weft } from './generated/wire.js';
import type { IdOf } from './signatures.ts';

/**
 * Gossip messages. A fixed header, then a protobuf message of wire.proto to the end of the datagram
 * or stream message.
 *
 *   0        8         16        24                  24 + 8 * L
 *   | kind   | version | L (8)   | label, L bytes UTF-8 | protobuf ...
 *
 * Decoders copy what they return, so that the caller's buffer may be reused; they answer `undefined`
 * to bytes that make no sense, and never throw.
 */
export const GOSSIP_KIND = 0x01;
/** A `Datagram` that travels by TCP: a ping where UDP fails, and its ack. */
export const STREAM_KIND = 0x02;
const VERSION_AT = 1;
const LABEL_LENGTH_AT = 2;
const LABEL_AT = 3;
export const MAX_LABEL_BYTES = 64;
const ID_BYTES = 16;

const proto = weft.gossip;

export interface Header {
  readonly version: number;
  readonly label: string;
  /** Where the protobuf message begins. */
  readonly bodyAt: number;
}

export function encodeHeader(version: number, label: string, kind = GOSSIP_KIND): Uint8Array {
  const text = Buffer.from(label);
  return Buffer.concat([Uint8Array.of(kind, version, text.length), text]);
}

/** Reads the header of anything at least 3 bytes long whose first byte is `kind`. */
export function decodeHeader(bytes: Buffer, kind = GOSSIP_KIND): Header | undefined {
  const length = bytes[LABEL_LENGTH_AT];
  const version = bytes[VERSION_AT];
  if (bytes[0] !== kind || length === undefined || version === undefined) return undefined;
  const bodyAt = LABEL_AT + length;
  if (length > MAX_LABEL_BYTES || bodyAt > bytes.length) return undefined;
  return { version, label: bytes.toString('utf8', LABEL_AT, bodyAt), bodyAt };
}

/** What a datagram is about, besides what it carries along. */
export type Body =
  | { readonly kind: 'ping'; readonly sequence: number; readonly target: PeerId }
  | { readonly kind: 'ack'; readonly sequence: number }
  | { readonly kind: 'ping-request'; readonly sequence: number; readonly target: PeerId }
  | { readonly kind: 'nack'; readonly sequence: number }
  | { readonly kind: 'news' };

export interface Datagram extends Cargo {
  readonly sender: PeerId;
  readonly body: Body;
}

function bodyMessage(body: Body): weft.gossip.Datagram.$Properties {
  switch (body.kind) {
    case 'ping':
      return { ping: { sequence: body.sequence, target: idBytes(body.target) } };
    case 'ack':
      return { ack: { sequence: body.sequence } };
    case 'ping-request':
      return { pingRequest: { sequence: body.sequence, target: idBytes(body.target) } };
    case 'nack':
      return { nack: { sequence: body.sequence } };
    case 'news':
      return {};
  }
}

function bodyFrom(message: weft.gossip.Datagram): Body | undefined {
  const { ping, ack, pingRequest, nack } = message as {
    ping?: weft.gossip.Ping;
    ack?: weft.gossip.Ack;
    pingRequest?: weft.gossip.PingRequest;
    nack?: weft.gossip.Nack;
  };
  if (ping) {
    const target = idFrom(ping.target);
    return target && { kind: 'ping', sequence: ping.sequence, target };
  }
  if (ack) return { kind: 'ack', sequence: ack.sequence };
  if (nack) return { kind: 'nack', sequence: nack.sequence };
  if (!pingRequest) return { kind: 'news' };
  const target = idFrom(pingRequest.target);
  return target && { kind: 'ping-request', sequence: pingRequest.sequence, target };
}

/** Everything of a datagram but its pieces; the pieces follow it. */
export function encodeDatagramHead(header: Uint8Array, sender: PeerId, body: Body): Uint8Array {
  const head = proto.Datagram.encode({ sender: idBytes(sender), ...bodyMessage(body) }).finish();
  return Buffer.concat([header, head]);
}

/** Reads a datagram from where its header ends. */
export function decodeDatagram(bytes: Buffer, bodyAt: number, idOf: IdOf): Datagram | undefined {
  return attempt(() => {
    const message = proto.Datagram.decode(bytes.subarray(bodyAt)) as weft.gossip.Datagram;
    const sender = idFrom(message.sender);
    const body = bodyFrom(message);
    return sender && body && { sender, body, ...cargoFrom(message, idOf) };
  });
}

/** The field `sender` as protobuf has it, and `encodeDatagramHead` before all others: its number, its length, the id. */
const senderField = (sender: PeerId): Buffer =>
  Buffer.concat([Uint8Array.of(0x0a, ID_BYTES), idBytes(sender)]);

/**
 * A datagram without its sender, for an envelope, which names it: 18 bytes less. What is not a datagram of
 * `sender` with an empty label, as sealed meshes have it, stays as it is.
 */
export function withoutSender(bytes: Uint8Array, sender: PeerId): Uint8Array {
  const field = senderField(sender);
  const end = LABEL_AT + field.length;
  const isEmpty = bytes[0] === GOSSIP_KIND && bytes[LABEL_LENGTH_AT] === 0;
  if (!isEmpty || !field.equals(bytes.subarray(LABEL_AT, end))) return bytes;
  return Buffer.concat([bytes.subarray(0, LABEL_AT), bytes.subarray(end)]);
}

/** A datagram with the sender that its envelope names. Of a field that comes twice the later counts: it can't name another. */
export function withSender(bytes: Buffer, sender: PeerId): Buffer {
  return bytes[0] === GOSSIP_KIND ? Buffer.concat([bytes, senderField(sender)]) : bytes;
}
