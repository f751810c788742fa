import { z } from 'zod';
import type { PeerId } from '../base/types.ts';
import type { AcceptorState, Ballot } from './acceptor.ts';
import type { StoredPool } from './holding.ts';
import type { Reply, Request } from './message.ts';
import { isSane, MAX_SHARES, MAX_VOTERS, REVOCATIONS, type PoolValue } from './pool.ts';

/*
 * Messages between hosts and records on disk, as JSON in UTF-8 (docs/wire-format.md). Offsets are decimal
 * strings, since those of IPv6 pass 2^53. What does not have this form, or is a pool value that no
 * sequence of changes can make, is no message.
 */
const MAX_OFFSET_DIGITS = 39;
const MAX_WINDOWS = MAX_SHARES;
const MAX_HOSTS = 8_192;
const MAX_LEASES = 4_096;

const host = z.string().regex(/^[0-9a-f]{32}$/) as unknown as z.ZodType<PeerId>;
const pool = z.string().regex(/^[0-9a-f]{32}$/);
const count = z.int().min(0);
const ms = z.number().min(0).max(1e12);
const offset = z
  .string()
  .max(MAX_OFFSET_DIGITS)
  .regex(/^(?:0|[1-9]\d*)$/)
  .transform((text) => BigInt(text));
const range = z.tuple([offset, offset]).transform(([start, end]) => ({ start, end }));

/** Owners are listed once and shares name them by their place in the list. */
const value = z
  .object({
    version: count,
    size: offset,
    leaseMs: z.number().min(1).max(1e9),
    voters: z.array(z.tuple([host, count])).max(MAX_VOTERS),
    votersVersion: count,
    hosts: z.array(host).max(MAX_HOSTS),
    shares: z.array(z.tuple([offset, count])).max(MAX_SHARES),
    windows: z.array(range).max(MAX_WINDOWS),
    revoked: z.array(z.tuple([host, z.int().min(1), z.enum(REVOCATIONS), count])).max(MAX_HOSTS),
    sessions: z.array(z.tuple([host, z.int().min(1)])).max(MAX_HOSTS),
    isForced: z.boolean(),
  })
  .transform(({ hosts, ...data }, context): PoolValue => {
    const shares = data.shares.map(([start, index]) => ({ start, owner: hosts[index] }));
    const built = {
      ...data,
      voters: data.voters.map(([id, since]) => ({ id, since })),
      shares: shares as PoolValue['shares'],
      sessions: new Map(data.sessions),
      revoked: new Map(
        data.revoked.map(([id, epoch, kind, emptied]) => [id, { epoch, kind, emptied }]),
      ),
    };
    if (shares.every(({ owner }) => owner !== undefined) && isSane(built)) return built;
    context.addIssue('not a pool value');
    return z.NEVER;
  });

function plainValue({ shares, windows, voters, revoked, sessions, ...rest }: PoolValue): object {
  const hosts = [...new Set(shares.map(({ owner }) => owner))];
  const indices = new Map(hosts.map((id, index) => [id, index]));
  return {
    ...rest,
    hosts,
    shares: shares.map(({ start, owner }) => [start, indices.get(owner)]),
    windows: windows.map(({ start, end }) => [start, end]),
    voters: voters.map(({ id, since }) => [id, since]),
    sessions: [...sessions],
    revoked: [...revoked].map(([id, { epoch, kind, emptied }]) => [id, epoch, kind, emptied]),
  };
}

const ballot: z.ZodType<Ballot> = z.object({ round: count, proposer: z.string().max(64) });
const accepted = z.object({ ballot, value });
const intent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('plain') }),
  z.object({ kind: z.literal('revoke'), host, why: z.enum(REVOCATIONS) }),
  z.object({ kind: z.literal('remove-voter'), host }),
]);
const objection = z.object({ why: z.enum(['leased', 'alive', 'settling']), forMs: ms });

const newer = z.object({ kind: z.literal('newer'), value });
const behind = z.object({ kind: z.literal('behind'), version: count });
const outbid = z.object({ kind: z.literal('outbid'), round: count });
const unknown = z.object({ kind: z.literal('unknown') });

const requestSchema: z.ZodType<Request> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prepare'), pool, version: count, ballot, intent }),
  z.object({ kind: z.literal('accept'), pool, ballot, value }),
  z.object({ kind: z.literal('learn'), pool, value }),
  z.object({
    kind: z.literal('renew'),
    leases: z.array(z.object({ pool, version: count, epoch: count })).max(MAX_LEASES),
  }),
  z.object({
    kind: z.literal('space'),
    pool,
    wanted: z.union([z.literal('share'), z.literal('any'), offset]),
  }),
]);

const replySchema: z.ZodType<Reply> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('promise'),
    accepted: accepted.exactOptional(),
    objection: objection.exactOptional(),
  }),
  z.object({ kind: z.literal('accepted') }),
  z.object({ kind: z.literal('objection'), objection }),
  ...[newer, behind, outbid, unknown],
  z.object({ kind: z.literal('learned') }),
  z.object({
    kind: z.literal('renewals'),
    renewals: z
      .array(
        z.discriminatedUnion('kind', [
          z.object({ kind: z.literal('renewed') }),
          z.object({ kind: z.literal('pending') }),
          ...[newer, behind, outbid, unknown],
        ]),
      )
      .max(MAX_LEASES),
  }),
  z.object({ kind: z.literal('coming') }),
  z.object({ kind: z.literal('refused'), why: z.enum(['nothing-free', 'in-use', 'busy']) }),
]);

const acceptorState: z.ZodType<AcceptorState> = z.object({
  chosen: value,
  promised: ballot,
  accepted: z.union([accepted, z.null().transform(() => undefined)]),
});
const storedSchema: z.ZodType<StoredPool> = z.object({
  acceptor: acceptorState,
  outgoing: z.array(z.object({ range, version: count })),
});

/** Plain data of any of our types: pool values in their short form, offsets as text. */
function encode(data: object): Uint8Array {
  const text = JSON.stringify(data, (_, each: unknown) => {
    if (typeof each === 'bigint') return each.toString();
    return isValue(each) ? plainValue(each) : each;
  });
  return Buffer.from(text);
}

/** A pool value that `plainValue` has not yet made short. */
function isValue(each: unknown): each is PoolValue {
  return (
    typeof each === 'object' && each !== null && 'revoked' in each && each.revoked instanceof Map
  );
}

function decode<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  } catch {
    // Not JSON: the bytes' fault.
    return undefined;
  }
  return schema.safeParse(parsed).data;
}

export const encodeRequest = (request: Request): Uint8Array => encode(request);
export const decodeRequest = (bytes: Uint8Array): Request | undefined =>
  decode(requestSchema, bytes);
export const encodeReply = (reply: Reply): Uint8Array => encode(reply);
export const decodeReply = (bytes: Uint8Array): Reply | undefined => decode(replySchema, bytes);

export const encodeStored = ({ acceptor, outgoing }: StoredPool): Uint8Array =>
  encode({
    acceptor: { ...acceptor, accepted: acceptor.accepted ?? null },
    outgoing: outgoing.map(({ range: { start, end }, version }) => ({
      range: [start, end],
      version,
    })),
  });
export const decodeStored = (bytes: Uint8Array): StoredPool | undefined =>
  decode(storedSchema, bytes);
