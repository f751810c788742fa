import { asPeerId, type PeerId } from '../base/types.ts';

/**
 * Questions that one part of a host puts to the same part of another, over the mesh's TCP port: one
 * message each way, told from push-pull by the first byte.
 *
 *   request   | kind=2 | version=1 | L | label (L) | sender's id (16) | N | service (N) | body …
 *   answer    | kind=2 | version=1 | status | body …
 */
export const SERVICE_KIND = 0x02;
const VERSION = 1;
const ID_BYTES = 16;
const ANSWER_HEAD_BYTES = 3;
export const MAX_SERVICE_NAME_BYTES = 32;

const STATUS = { answered: 0, unknown: 1, refused: 2 } as const;

export interface ServiceRequest {
  readonly label: string;
  readonly sender: PeerId;
  readonly service: string;
  readonly body: Buffer;
}

export function encodeServiceRequest({
  label,
  sender,
  service,
  body,
}: Omit<ServiceRequest, 'body'> & { readonly body: Uint8Array }): Uint8Array {
  const [labelBytes, nameBytes] = [Buffer.from(label), Buffer.from(service)];
  return Buffer.concat([
    Buffer.of(SERVICE_KIND, VERSION, labelBytes.length),
    labelBytes,
    Buffer.from(sender, 'hex'),
    Buffer.of(nameBytes.length),
    nameBytes,
    body,
  ]);
}

/** Undefined if the bytes are not such a request. The body is a view of them. */
export function decodeServiceRequest(bytes: Buffer): ServiceRequest | undefined {
  if (bytes[0] !== SERVICE_KIND || bytes[1] !== VERSION) return undefined;
  const labelEnd = 3 + (bytes[2] ?? 0);
  const nameAt = labelEnd + ID_BYTES + 1;
  const nameEnd = nameAt + (bytes[nameAt - 1] ?? 0);
  if (nameEnd > bytes.length || nameEnd - nameAt > MAX_SERVICE_NAME_BYTES || nameEnd === nameAt) {
    return undefined;
  }
  return {
    label: bytes.toString('utf8', 3, labelEnd),
    sender: asPeerId(bytes.toString('hex', labelEnd, labelEnd + ID_BYTES)),
    service: bytes.toString('utf8', nameAt, nameEnd),
    body: bytes.subarray(nameEnd),
  };
}

/** What a service said; undefined if it refused the body or the host has no such service. */
export function encodeServiceAnswer(answer: Uint8Array | 'unknown' | 'refused'): Uint8Array {
  const status = typeof answer === 'string' ? STATUS[answer] : STATUS.answered;
  const body = typeof answer === 'string' ? new Uint8Array() : answer;
  return Buffer.concat([Buffer.of(SERVICE_KIND, VERSION, status), body]);
}

/** The body of an answer; undefined for a refusal, and for bytes that are no answer. */
export function decodeServiceAnswer(bytes: Buffer): Buffer | undefined {
  const isAnswer =
    bytes.length >= ANSWER_HEAD_BYTES &&
    bytes[0] === SERVICE_KIND &&
    bytes[1] === VERSION &&
    bytes[2] === STATUS.answered;
  return isAnswer ? bytes.subarray(ANSWER_HEAD_BYTES) : undefined;
}
