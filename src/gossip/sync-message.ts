import type { SocketAddress } from '../base/types.ts';
import { addressBytes, addressFrom } from './address.ts';
import {
  attempt,
  cargoFrom,
  claimMessage,
  rangeFrom,
  recordFrom,
  type Cargo,
  type Decoded,
} from './cargo.ts';
import { weft } from './generated/wire.js';
import { ROOT_DIGEST_BYTES } from './hash-tree.ts';
import { MAX_MILLIS } from './hybrid-clock.ts';
import type { MemberRecord, VersionRange } from './member.ts';
import { MAX_LABEL_BYTES } from './message.ts';
import {
  packDigests,
  rangesFrom,
  recentFrom,
  recentMessage,
  unpackDigests,
  type Ranges,
} from './range.ts';
import type { Recent } from './recent.ts';
import type { IdOf } from './signatures.ts';

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

/** What a sync is about: digests of all rows and of the living members. */
export interface Opening {
  /** 8 bytes; zeros for no row. */
  readonly rows: Uint8Array;
  /** 8 bytes; `undefined`: no member is known. */
  readonly members: Uint8Array | undefined;
  /** Undefined: the sender has no row. */
  readonly recent: Recent | undefined;
}

/** Members by 4-byte digests. Empty lists are the same as none. */
export interface MemberLists {
  readonly known: readonly number[];
  readonly wanted: readonly number[];
}

export interface SyncRequest extends Cargo, Ranges, MemberLists {
  readonly protocol: VersionRange;
  readonly purpose: Purpose;
  readonly self: MemberRecord;
  /** Only in the first request of a sync. */
  readonly opening: Opening | undefined;
  readonly salt: number;
  readonly sharedUntil: number | undefined;
}

export type Refusal =
  | { readonly reason: 'version'; readonly protocol: VersionRange }
  | { readonly reason: 'label'; readonly label: string }
  | { readonly reason: 'self' }
  | { readonly reason: 'name-taken'; readonly holder: MemberRecord }
  | { readonly reason: 'detached' };

export interface SyncAcceptance extends Cargo, Ranges, MemberLists {
  readonly refusal?: undefined;
  readonly self: MemberRecord;
  /** Where the request came from. */
  readonly appearAs: SocketAddress;
  /** Nodes of the request's ranges that were not answered to the end. */
  readonly postponed: readonly number[];
  readonly sharedUntil: number | undefined;
}

export type SyncAnswer = { readonly refusal: Refusal } | SyncAcceptance;

/** What every request says; `salt` and `opening` only where there is something to compare. */
export type RequestHead = Pick<SyncRequest, 'protocol' | 'purpose' | 'self'> &
  Partial<Pick<SyncRequest, 'salt' | 'opening' | 'sharedUntil'>>;

/** 0 stands for none. A time that no clock can have is taken for none. */
function sharedUntilFrom(message: { readonly sharedUntil?: unknown }): number | undefined {
  const until = Number(String(message.sharedUntil));
  return until > 0 && until <= MAX_MILLIS ? until : undefined;
}

function openingMessage({ rows, members, recent }: Opening): weft.gossip.Opening.$Properties {
  return {
    rows,
    ...(members === undefined ? {} : { members }),
    ...(recent === undefined ? {} : { recent: recentMessage(recent) }),
  };
}

function openingFrom(
  message: weft.gossip.Opening.$Properties | null | undefined,
): Opening | undefined {
  if (!message) return undefined;
  const { rows, members } = message as Decoded<typeof message>;
  const isWhole = rows.length === ROOT_DIGEST_BYTES;
  const isAlone = members.length === 0;
  if (!isWhole || !(isAlone || members.length === ROOT_DIGEST_BYTES)) return undefined;
  const recent = message.recent ? recentFrom(message.recent) : undefined;
  return { rows, members: isAlone ? undefined : members, recent };
}

/** Digests of members as a piece of a request or an answer: the field has one number in both. */
export function encodeMembers(lists: Partial<MemberLists>): Uint8Array {
  const { known = [], wanted = [] } = lists;
  const members = {
    ...(known.length > 0 ? { known: packDigests(known) } : {}),
    ...(wanted.length > 0 ? { wanted: packDigests(wanted) } : {}),
  };
  return proto.SyncRequest.encode({ members }).finish();
}

function membersFrom(message: weft.gossip.Members.$Properties | null | undefined): MemberLists {
  return {
    known: unpackDigests(message?.known ?? new Uint8Array()) ?? [],
    wanted: unpackDigests(message?.wanted ?? new Uint8Array()) ?? [],
  };
}

/** Everything of a request but its pieces. */
export function encodeRequestHead(
  header: Uint8Array,
  { protocol, purpose, self, salt, opening, sharedUntil }: RequestHead,
): Uint8Array {
  const head = proto.SyncRequest.encode({
    minVersion: protocol.min,
    maxVersion: protocol.max,
    purpose: PURPOSE_CODES[purpose],
    self: claimMessage({ record: self }),
    ...(salt === undefined ? {} : { salt }),
    ...(opening === undefined ? {} : { opening: openingMessage(opening) }),
    ...(sharedUntil === undefined ? {} : { sharedUntil }),
  }).finish();
  return Buffer.concat([header, head]);
}

export function decodeRequest(bytes: Buffer, bodyAt: number, idOf: IdOf): SyncRequest | undefined {
  return attempt(() => {
    const message = proto.SyncRequest.decode(bytes.subarray(bodyAt));
    const protocol = rangeFrom(message.minVersion, message.maxVersion);
    const purpose = PURPOSES_BY_CODE.get(message.purpose);
    const self = message.self ? recordFrom(message.self, idOf) : undefined;
    if (!protocol || !purpose || !self) return undefined;
    return {
      ...{ protocol, purpose, self, salt: message.salt },
      opening: openingFrom(message.opening),
      sharedUntil: sharedUntilFrom(message),
      ...cargoFrom(message, idOf),
      ...rangesFrom(message.ranges),
      ...membersFrom(message.members),
    };
  });
}

/** Everything of an answer but its pieces. */
export function encodeAnswerHead(
  header: Uint8Array,
  self: MemberRecord,
  appearAs: SocketAddress,
  sharedUntil?: number,
): Uint8Array {
  const head = proto.SyncAnswer.encode({
    self: claimMessage({ record: self }),
    appearAs: addressBytes(appearAs),
    ...(sharedUntil === undefined ? {} : { sharedUntil }),
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

function refusalFrom(message: weft.gossip.Refusal.$Properties, idOf: IdOf): Refusal | undefined {
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
      const holder = message.holder && recordFrom(message.holder, idOf);
      return holder ? { reason: 'name-taken', holder } : undefined;
    }
    case proto.Reason.DETACHED:
      return { reason: 'detached' };
    case proto.Reason.UNSPECIFIED:
    default:
      return undefined;
  }
}

export function decodeAnswer(bytes: Buffer, bodyAt: number, idOf: IdOf): SyncAnswer | undefined {
  return attempt(() => {
    const message = proto.SyncAnswer.decode(bytes.subarray(bodyAt));
    if (message.refusal) {
      const refusal = refusalFrom(message.refusal, idOf);
      return refusal && { refusal };
    }
    const self = message.self ? recordFrom(message.self, idOf) : undefined;
    const appearAs = addressFrom(message.appearAs);
    if (!self || !appearAs) return undefined;
    return {
      ...{ self, appearAs, postponed: message.postponed },
      sharedUntil: sharedUntilFrom(message),
      ...cargoFrom(message, idOf),
      ...rangesFrom(message.ranges),
      ...membersFrom(message.members),
    };
  });
}
