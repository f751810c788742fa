import type { PeerId, SocketAddress, Vtep } from '../base/types.ts';
import { decodeCbor, encodeCbor } from '../gossip/cbor.ts';
import { isActive, type Member } from '../gossip/member.ts';
import { parseMemberMeta, type MemberMeta } from './records.ts';

/** What the daemon needs of the mesh to know its peers; the first member is this host. */
export interface MemberSource {
  members(): readonly Member[];
}

export const encodeMemberMeta = (meta: MemberMeta): Uint8Array => encodeCbor(meta);

/** What a member says of itself, or undefined if it says nothing that we understand. */
export function memberMeta(member: Member): MemberMeta | undefined {
  return parseMemberMeta(decodeCbor(member.meta));
}

/** Questions about the other hosts. */
export class Peers {
  readonly #self: PeerId;
  readonly #source: MemberSource;

  constructor(self: PeerId, source: MemberSource) {
    this.#self = self;
    this.#source = source;
  }

  /** Where the other live members take VXLAN. A suspect is still sent to: it may be slow and alive. */
  vteps(): Vtep[] {
    return this.#others()
      .filter(isActive)
      .flatMap((member) => {
        const port = memberMeta(member)?.vxlanPort;
        return port === undefined ? [] : [{ address: member.address.address, port }];
      });
  }

  isAlive(id: PeerId): boolean {
    const member = this.#find(id);
    return member !== undefined && isActive(member);
  }

  /** The host's name, or its id if the mesh no longer remembers it. */
  nameOf(id: PeerId): string {
    return this.#find(id)?.name ?? id;
  }

  nameAt(address: string): string | undefined {
    return this.#others().find((member) => member.address.address === address)?.name;
  }

  /** Mesh addresses to call again after a restart: of all that did not say goodbye. */
  addresses(): SocketAddress[] {
    return this.#others()
      .filter(({ state }) => state !== 'left')
      .map(({ address }) => address);
  }

  #others(): Member[] {
    return this.#source.members().filter(({ id }) => id !== this.#self);
  }

  #find(id: PeerId): Member | undefined {
    return this.#source.members().find((member) => member.id === id);
  }
}
