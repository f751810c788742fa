import assert from 'node:assert/strict';
import { AppError } from '../base/errors.ts';
import type { PeerId, SocketAddress } from '../base/types.ts';
import type { PeerCapabilities } from '../dataplane/dataplane.ts';
import { decodeCbor, encodeCbor } from '../gossip/cbor.ts';
import { isActive, type Member, type MemberRecord } from '../gossip/member.ts';
import { locatorOf } from '../link/locator.ts';
import type { MemberVtep } from './endpoint-feed.ts';
import type { KeyMember } from './keys.ts';
import { parseMemberMeta, type MemberMeta } from './records.ts';

/** What the daemon needs of the mesh to know its peers. */
export interface MemberSource {
  readonly self: MemberRecord;
  /** Without this host. */
  members(): readonly Member[];
  member(id: PeerId): Member | undefined;
}

/** The bytes that gossip carries for a host. */
export function encodeMemberMeta(meta: MemberMeta): Uint8Array {
  const bytes = encodeCbor(meta);
  assert(bytes !== undefined, 'plain data is always encodable');
  return bytes;
}

/** What a member says of itself, or undefined if it says nothing that we understand. */
export function memberMeta(member: MemberRecord): MemberMeta | undefined {
  return parseMemberMeta(decodeCbor(member.meta)?.value);
}

/** What a member's data plane can do; of one that does not say, the least. */
export const peerCapabilities = (member: MemberRecord): PeerCapabilities => ({
  takesPartialChecksums: memberMeta(member)?.partialChecksums ?? false,
});

/** Where a member takes frames, if it lives. A suspect is still sent to: it may be slow and alive. */
export function memberVtep(member: Member): MemberVtep | undefined {
  const port = isActive(member) ? memberMeta(member)?.vxlanPort : undefined;
  return port === undefined
    ? undefined
    : {
        ...{ address: member.address.address, port, meshPort: member.address.port },
        locator: locatorOf(member.id),
      };
}

/** The live members' keys, and what they say of the mesh's. */
export function keyMembers(source: MemberSource): KeyMember[] {
  return source.members().flatMap((member) => {
    if (!isActive(member)) return [];
    const { id, name, address, key: publicKey } = member;
    return [{ id, name, address, publicKey, notice: memberMeta(member)?.keys }];
  });
}

const MIN_ID_PREFIX = 4;

/** Questions about the other hosts. */
export class Peers {
  readonly #source: MemberSource;

  constructor(source: MemberSource) {
    this.#source = source;
  }

  isAlive(id: PeerId): boolean {
    const member = this.#source.member(id);
    return id === this.#source.self.id || (member !== undefined && isActive(member));
  }

  /** Names of the hosts that are alive and give out addresses of one subnet of a network only. */
  singleStack(): string[] {
    return this.#source
      .members()
      .filter((member) => isActive(member) && memberMeta(member)?.dualStack !== true)
      .map(({ name }) => name)
      .sort();
  }

  /** Whether the host has the lowest id of those that are alive. */
  isFirstAlive(id: PeerId): boolean {
    return this.ids().every((other) => id <= other || !this.isAlive(other));
  }

  /** The host's name, or its id if the mesh no longer remembers it. */
  nameOf(id: PeerId): string {
    return id === this.#source.self.id
      ? this.#source.self.name
      : (this.#source.member(id)?.name ?? id);
  }

  /** The host of that name or id, or whose id begins like this. E_HOST_MISSING if there is none, or several. */
  find(text: string): PeerId {
    const matches = this.ids().filter(
      (id) =>
        id === text ||
        this.nameOf(id) === text ||
        (text.length >= MIN_ID_PREFIX && id.startsWith(text)),
    );
    const [only, ...others] = matches;
    if (only !== undefined && others.length === 0) return only;
    throw new AppError(
      'E_HOST_MISSING',
      only === undefined
        ? `There is no host ${text}; "weft peers" lists those that there are.`
        : `"${text}" names ${matches.length} hosts; give one of the ids ${matches.join(', ')}.`,
    );
  }

  nameAt(address: string): string | undefined {
    return this.#source.members().find((member) => member.address.address === address)?.name;
  }

  /** The member whose VTEP goes by that address or locator. */
  atVtep(place: string): Member | undefined {
    return this.#source
      .members()
      .find(({ id, address }) => address.address === place || locatorOf(id) === place);
  }

  /** All hosts that the mesh remembers, this one among them. */
  ids(): PeerId[] {
    return [this.#source.self.id, ...this.#source.members().map(({ id }) => id)];
  }

  /** Mesh addresses to call again after a restart: of all that did not say goodbye. */
  addresses(): SocketAddress[] {
    return this.#source
      .members()
      .filter(({ state }) => state !== 'left')
      .map(({ address }) => address);
  }
}
