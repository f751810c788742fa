import type { SocketAddress } from '../base/types.ts';
import {
  addressBytes,
  addressFrom,
  attempt,
  cargoFrom,
  claimMessage,
  rangeFrom,
  recordFrom,
  type Cargo,
  type Decoded,
} from './cargo.ts';
import { weft } from './generated/wire.js';
import type { MemberRecord, VersionRange } from './member.ts';
import { MAX_LABEL_BYTES } from './message.ts';

const proto = weft.gossip;

/** Why an exchange is asked for: between members; by a person; by a host that lost somebody. */
export type Purpose = 'push-pull' | 'join' | 'rejoin';

const PURPOSE_CODES: Record<Purpose, weft.gossip.Purpose> = {
  'push-pull': proto.Purpose.PUSH_PULL,
  join: proto.Purpose.JOIN,
  rejoin: proto.Purpose.REJOIN,
};
const PURPOSES_BY_CODE = new Map(
  Object.entries(PURPOSE_CODES).map(([purpose, code]) => [code, purpose as Purpose]),
);

export interface SyncRequest extends Cargo {
  readonly protocol: VersionRange;
  readonly purpose: Purpose;
  readonly self: MemberRecord;
}

export type Refusal =
  | { readonly reason: 'version'; readonly protocol: VersionRange }
  | { readonly reason: 'label'; readonly label: string }
  | { readonly reason: 'self' }
  | { readonly reason: 'name-taken'; readonly holder: MemberRecord }
  | { readonly reason: 'detached' };

export interface SyncAcceptance extends Cargo {
  readonly refusal?: undefined;
  readonly self: MemberRecord;
  /** Where the request came from. */
  readonly appearAs: SocketAddress;
}

export type SyncAnswer = { readonly refusal: Refusal } | SyncAcceptance;

/** Everything of a request but its pieces. */
export function encodeRequestHead(
  header: Uint8Array,
  { protocol, purpose, self }: Pick<SyncRequest, 'protocol' | 'purpose' | 'self'>,
): Uint8Array {
  const head = proto.SyncRequest.encode({
    minVersion: protocol.min,
    maxVersion: protocol.max,
    purpose: PURPOSE_CODES[purpose],
    self: claimMessage({ record: self }),
  }).finish();
  return Buffer.concat([header, head]);
}

export function decodeRequest(bytes: Buffer, bodyAt: number): SyncRequest | undefined {
  return attempt(() => {
    const message = proto.SyncRequest.decode(bytes.subarray(bodyAt));
    const protocol = rangeFrom(message.minVersion, message.maxVersion);
    const purpose = PURPOSES_BY_CODE.get(message.purpose);
    const self = message.self ? recordFrom(message.self) : undefined;
    return protocol && purpose && self && { protocol, purpose, self, ...cargoFrom(message) };
  });
}

/** Everything of an answer but its pieces. */
export function encodeAnswerHead(
  header: Uint8Array,
  self: MemberRecord,
  appearAs: SocketAddress,
): Uint8Array {
  const head = proto.SyncAnswer.encode({
    self: claimMessage({ record: self }),
    appearAs: addressBytes(appearAs),
  }).finish();
  return Buffer.concat([header, head]);
}

function refusalMessage(refusal: Refusal): weft.gossip.Refusal.$Properties {
  switch (refusal.reason) {
    case 'version': {
      const { min, max } = refusal.protocol;
      return { reason: proto.Reason.VERSION, minVersion: min, maxVersion: max };
    }
    case 'label':
      return { reason: proto.Reason.LABEL, label: refusal.label };
    case 'self':
      return { reason: proto.Reason.SELF };
    case 'name-taken':
      return {
        reason: proto.Reason.NAME_TAKEN,
        holder: claimMessage({ record: refusal.holder }),
      };
    case 'detached':
      return { reason: proto.Reason.DETACHED };
  }
}

export function encodeRefusal(header: Uint8Array, refusal: Refusal): Uint8Array {
  const answer = proto.SyncAnswer.encode({ refusal: refusalMessage(refusal) }).finish();
  return Buffer.concat([header, answer]);
}

function refusalFrom(message: weft.gossip.Refusal.$Properties): Refusal | undefined {
  const { reason, label, minVersion, maxVersion } = message as Decoded<typeof message>;
  switch (reason) {
    case proto.Reason.VERSION: {
      const protocol = rangeFrom(minVersion, maxVersion);
      return protocol && { reason: 'version', protocol };
    }
    case proto.Reason.LABEL:
      return { reason: 'label', label: label.slice(0, MAX_LABEL_BYTES) };
    case proto.Reason.SELF:
      return { reason: 'self' };
    case proto.Reason.NAME_TAKEN: {
      const holder = message.holder && recordFrom(message.holder);
      return holder ? { reason: 'name-taken', holder } : undefined;
    }
    case proto.Reason.DETACHED:
      return { reason: 'detached' };
    case proto.Reason.UNSPECIFIED:
    default:
      return undefined;
  }
}

export function decodeAnswer(bytes: Buffer, bodyAt: number): SyncAnswer | undefined {
  return attempt(() => {
    const message = proto.SyncAnswer.decode(bytes.subarray(bodyAt));
    if (message.refusal) {
      const refusal = refusalFrom(message.refusal);
      return refusal && { refusal };
    }
    const self = message.self ? recordFrom(message.self) : undefined;
    const appearAs = addressFrom(message.appearAs);
    return self && appearAs && { self, appearAs, ...cargoFrom(message) };
  });
}
