import type { Mac, PeerId, Vni, Vtep } from '../base/types.ts';
import type { EndpointUpdate } from '../dataplane/dataplane.ts';
import { addressesOf, type Endpoint } from '../network/endpoint.ts';
import { addressBytes, parseCidr } from '../wire/cidr.ts';
import type { Directory, RowChange } from './directory.ts';
import type { FloodedVtep } from './fabric.ts';
import { MacClaims } from './mac-claims.ts';
import type { EndpointRecord, VtepRecord } from './records.ts';
import { endpointId, endpointKey } from './row-owners.ts';

/** A network that this host carries. */
export interface FedNetwork {
  readonly network: string;
  readonly vni: Vni;
  readonly isSealed?: boolean;
}

/** Where a member takes VXLAN, and what it goes by where all is sealed (src/link/locator.ts). */
export interface MemberVtep extends Vtep {
  readonly meshPort: number;
  readonly locator: string;
}

/** What a member's VTEP on a network goes by. */
const placeOf = ({ isSealed }: FedNetwork, { address, locator }: MemberVtep): string =>
  isSealed === true ? locator : address;

/** What the feed writes to. Nothing happens for a network that is no longer carried. */
export interface FeedTarget {
  /** Makes `wanted` the VTEPs of a network, changing only what differs. */
  setVteps(vni: Vni, wanted: readonly FloodedVtep[]): void;
  /** Changes the VTEP at one address: `undefined` removes it. */
  setVtep(vni: Vni, address: string, wanted: FloodedVtep | undefined): void;
  updateEndpoints(vni: Vni, updates: readonly EndpointUpdate[]): void;
}

interface Opened extends FedNetwork {
  readonly claims: MacClaims;
}

/**
 * Carries endpoints, members and foreign VTEPs into the data plane, change by change:
 *
 *   a network is carried -> all its VTEPs and endpoints elsewhere, as one batch
 *   a row changed        -> its MAC and address; whether floods go to its host
 *   a member changed     -> its VTEP and the endpoints of that host, on each carried network
 *
 * Each costs what it changes, never a walk over all endpoints. A suspect keeps its VTEP; a member that
 * goes takes its own endpoints' entries with it and no others. Rows that change together (a sync brings
 * thousands) reach the data plane as one batch.
 */
export class EndpointFeed {
  readonly #self: PeerId;
  readonly #directory: Directory;
  readonly #target: FeedTarget;
  readonly #opened = new Map<string, Opened>();
  readonly #vteps = new Map<PeerId, MemberVtep>();
  readonly #hostsAt = new Map<string, Set<PeerId>>();
  #waiting = new Map<Vni, EndpointUpdate[]>();

  constructor(self: PeerId, directory: Directory, target: FeedTarget) {
    this.#self = self;
    this.#directory = directory;
    this.#target = target;
  }

  /** The network is carried, or still is: its VTEPs are brought to what the tables say. */
  open(fed: FedNetwork): void {
    const { network, vni } = fed;
    this.#flush();
    this.#target.setVteps(vni, this.#wantedVteps(fed));
    if (this.#opened.has(network)) return;
    const opened = { ...fed, claims: new MacClaims() };
    this.#opened.set(network, opened);
    for (const host of this.#vteps.keys()) this.#claimAll(opened, host);
    this.#flush();
  }

  /** The network is no longer carried. */
  close(network: string): void {
    this.#flush();
    this.#opened.delete(network);
  }

  /** Another host's VTEP, or `undefined` once it is dead, has left or takes no VXLAN. */
  setMember(host: PeerId, vtep: MemberVtep | undefined): void {
    const before = this.#vteps.get(host);
    const isSame = (key: keyof MemberVtep): boolean => before?.[key] === vtep?.[key];
    if (isSame('address') && isSame('port') && isSame('meshPort')) return;
    if (before !== undefined) this.#loseMember(host, before);
    if (vtep !== undefined) this.#gainMember(host, vtep);
  }

  #loseMember(host: PeerId, vtep: MemberVtep): void {
    for (const opened of this.#opened.values()) {
      const { network } = opened;
      for (const endpoint of this.#directory.endpointsAt({ network, host })) {
        this.#release(opened, endpoint);
      }
    }
    this.#flush();
    this.#vteps.delete(host);
    for (const place of [vtep.address, vtep.locator]) {
      const others = this.#hostsAt.get(place);
      others?.delete(host);
      if (others?.size === 0) this.#hostsAt.delete(place);
    }
    for (const opened of this.#opened.values()) this.#syncVtep(opened, placeOf(opened, vtep));
  }

  #gainMember(host: PeerId, vtep: MemberVtep): void {
    this.#vteps.set(host, vtep);
    for (const place of [vtep.address, vtep.locator]) {
      this.#hostsAt.set(place, (this.#hostsAt.get(place) ?? new Set()).add(host));
    }
    for (const opened of this.#opened.values()) {
      this.#syncVtep(opened, placeOf(opened, vtep));
      this.#claimAll(opened, host);
    }
    this.#flush();
  }

  /** A row of the endpoint table has changed; the directory knows of it already. */
  changeEndpoint({ key, value, previous }: RowChange<EndpointRecord>): void {
    this.#change(key, previous, this.#release);
    this.#change(key, value, this.#claim);
  }

  #change(
    key: string,
    record: EndpointRecord | undefined,
    apply: (opened: Opened, endpoint: Endpoint) => void,
  ): void {
    if (record === undefined || record.host === this.#self) return;
    const vtep = this.#vteps.get(record.host);
    if (vtep === undefined) return;
    for (const rival of this.#directory.rivals(record.network)) {
      const other = this.#opened.get(rival);
      if (other !== undefined) this.#syncVtep(other, placeOf(other, vtep));
    }
    const opened = this.#opened.get(record.network);
    if (opened === undefined) return;
    apply(opened, { id: endpointId(key), ...record });
    this.#syncVtep(opened, placeOf(opened, vtep));
  }

  /** A row of the table of foreign VTEPs has changed. */
  changeForeign({ value, previous }: RowChange<VtepRecord>): void {
    for (const record of [previous, value]) {
      const opened = this.#opened.get(record?.network ?? '');
      if (opened !== undefined && record !== undefined) this.#syncVtep(opened, record.address);
    }
  }

  /** MACs that were this host's own until now: an endpoint elsewhere may have them. */
  restore(network: string, macs: Iterable<Mac>): void {
    const opened = this.#opened.get(network);
    if (opened === undefined) return;
    for (const mac of macs) this.#queueHolder(opened, mac);
    this.#flush();
  }

  #claimAll(opened: Opened, host: PeerId): void {
    const { network } = opened;
    for (const endpoint of this.#directory.endpointsAt({ network, host })) {
      this.#claim(opened, endpoint);
    }
  }

  readonly #claim = (opened: Opened, endpoint: Endpoint): void => {
    opened.claims.claim(endpoint.mac, endpointKey(endpoint));
    this.#queue(opened.vni, this.#update(opened, 'set', endpoint));
  };

  /** What another endpoint has of it is set again, in the same batch. */
  readonly #release = (opened: Opened, endpoint: Endpoint): void => {
    opened.claims.release(endpoint.mac, endpointKey(endpoint));
    this.#queue(opened.vni, this.#update(opened, 'remove', endpoint));
    this.#queueHolder(opened, endpoint.mac);
  };

  #queueHolder(opened: Opened, mac: Mac): void {
    const holder = opened.claims.holder(mac);
    const endpoint = holder === undefined ? undefined : this.#directory.endpointOf(holder);
    if (endpoint !== undefined) this.#queue(opened.vni, this.#update(opened, 'set', endpoint));
  }

  #update(fed: FedNetwork, kind: EndpointUpdate['kind'], endpoint: Endpoint): EndpointUpdate {
    const { mac, host } = endpoint;
    const vtep = this.#vteps.get(host);
    const addresses = addressesOf(endpoint)
      .map((text) => parseCidr(text)?.address)
      .flatMap((address) => (address === undefined ? [] : [addressBytes(address)]));
    return { kind, mac, vtep: vtep === undefined ? '' : placeOf(fed, vtep), addresses };
  }

  #queue(vni: Vni, update: EndpointUpdate): void {
    if (this.#waiting.size === 0) queueMicrotask(() => this.#flush());
    const updates = this.#waiting.get(vni);
    if (updates === undefined) this.#waiting.set(vni, [update]);
    else updates.push(update);
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting.size === 0) return;
    this.#waiting = new Map();
    for (const [vni, updates] of waiting) this.#target.updateEndpoints(vni, updates);
  }

  #syncVtep(network: FedNetwork, address: string): void {
    this.#target.setVtep(network.vni, address, this.#wantedVtep(network, address));
  }

  /**
   * A foreign VTEP is flooded to, but on sealed networks, where there is none; a member's if one of its endpoints is on the network. A member that has
   * endpoints on another network with the same VNI is none: two Ethernets would become one.
   */
  #wantedVtep({ network, isSealed }: FedNetwork, address: string): FloodedVtep | undefined {
    const foreign = this.#directory.vtep(network, address);
    if (foreign !== undefined && isSealed !== true)
      return { address, port: foreign.port, floods: true };
    const hosts = [...(this.#hostsAt.get(address) ?? [])];
    const vtep = hosts.map((host) => this.#vteps.get(host)).find((each) => each !== undefined);
    if (this.#isRivals(network, hosts)) return undefined;
    const floods = hosts.some((host) => this.#directory.hasEndpoints({ network, host }));
    if (vtep === undefined) return undefined;
    return isSealed === true
      ? { address, port: vtep.meshPort, floods, isSealed }
      : { address, port: vtep.port, floods };
  }

  #isRivals(network: string, hosts: readonly PeerId[]): boolean {
    return this.#directory
      .rivals(network)
      .some((rival) =>
        hosts.some((host) => this.#directory.hasEndpoints({ network: rival, host })),
      );
  }

  #wantedVteps(fed: FedNetwork): FloodedVtep[] {
    const foreign = this.#directory.vteps(fed.network).map(({ address }) => address);
    const members = [...this.#vteps.values()].map((vtep) => placeOf(fed, vtep));
    const addresses = new Set([...members, ...foreign]);
    return [...addresses]
      .map((address) => this.#wantedVtep(fed, address))
      .filter((vtep) => vtep !== undefined);
  }
}
