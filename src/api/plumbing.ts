import type { NetworkEdge, NetworkInfo, NetworkRequest, PortRequest } from './control.ts';

/**
 * What the plugins of container engines need of the daemon beside `Control`: an engine asks for an
 * address before there is an endpoint, moves the interface into its sandbox itself, and keeps a network
 * that nothing is attached to. Values are written as in `Control`.
 *
 * Every method rejects with an `AppError` and then has changed nothing.
 */
export interface Plumbing {
  /** Checks what a network's addresses are to be; nothing is made. */
  planPool(request: PoolRequest): Promise<PoolPlan>;

  /**
   * Marks a network as used by an engine of this host: it is carried, and nobody may remove it. Made as
   * asked if there is none of that name; else the caller compares the answer with what it wants.
   */
  use(request: NetworkRequest): Promise<NetworkInfo>;
  /**
   * Takes the mark away. A network that an engine made goes with its last mark in the mesh, unless it
   * has endpoints or foreign VTEPs; true if it went. Does nothing if there is no mark.
   */
  disuse(network: string): Promise<boolean>;

  /** The networks that have this host's mark. */
  uses(): readonly string[];

  /**
   * Holds an address for `holder`, over restarts, until `release`; the answer is a CIDR. The very
   * address must be free, but for `again`: then one that `holder` has already is answered.
   */
  reserve(request: ReserveRequest): Promise<string>;
  /** Lets go of it; an endpoint that has it keeps it until it goes. False if nobody held it. */
  release(network: string, address: string): Promise<boolean>;
  /** What this host holds, all networks. */
  reservations(): readonly Reservation[];

  /**
   * Makes an endpoint whose interface the engine will move into the sandbox and configure. Asked again
   * before it was moved, it answers the same.
   */
  plug(request: PlugRequest): Promise<Plugged>;
  /** A MAC that no endpoint of the network has; made of the address where that is possible. */
  chooseMac(network: string, address: string): string;
  /** Removes such an endpoint; its interface follows within moments. False if there is none. */
  unplug(endpoint: string): Promise<boolean>;
  /** An endpoint of this host made by `plug`, by its id. */
  plugged(endpoint: string): Plugged | undefined;

  /** Whether this host has endpoints made by `plug` on a network. */
  hasPlugged(network: string): boolean;
  /**
   * Whether a sandbox that is about to be plugged into a network is then on a plain wire and nothing
   * else: no port can lead to it.
   */
  isUnreachable(request: Pick<PlugRequest, 'network' | 'sandbox'>): boolean;

  /**
   * Has these ports of the host lead to an endpoint made by `plug`, and no others: none takes back all.
   * Ports of the same call are published together or not at all.
   */
  publish(endpoint: string, ports: readonly PortRangeRequest[]): Promise<void>;

  /**
   * Gives an endpoint made by `plug` these names in DNS, at most 16 in lower case, in place of those that
   * it has; does nothing if there is none by this id.
   */
  name(endpoint: string, names: readonly string[]): Promise<void>;

  /**
   * Has an endpoint made by `plug` take in no IPv4 packets for others, so that its container is no way
   * from one network to another; `pid` is a process in its sandbox. Does nothing if there is none.
   */
  refuseTransit(endpoint: string, pid: number): Promise<void>;

  /** What a plugin wrote down under a kind, by key. */
  notes(kind: string): ReadonlyMap<string, unknown>;
  /** On disk when it settles. */
  note(kind: string, key: string, value: unknown): Promise<void>;
  /** On disk when it settles. */
  forgetNote(kind: string, key: string): Promise<void>;
}

/**
 * What the plugin of an engine that is one of a cluster needs besides: its managers give out networks and
 * addresses, on whichever host is the leader, and its workers use them on theirs. `clusterId` is the
 * cluster's own id of a network, the same on every host. What other hosts have to say is waited for 3 s.
 */
export interface ClusterPlumbing {
  /**
   * Makes the network, or takes the one of that name, and keeps it for the cluster until `free`; no host
   * carries it for that. Asked again, by this leader or another, it does nothing more. `check` throws if
   * the network that is there is not what is wanted.
   */
  allocate(
    clusterId: string,
    request: NetworkRequest,
    check: (found: NetworkInfo) => void,
  ): Promise<void>;
  /** With all addresses that are held for it. Does nothing if there is none. */
  free(clusterId: string): Promise<void>;
  /** The Weft network of one of the cluster's; undefined if this host does not hear of it in time. */
  network(clusterId: string): Promise<string | undefined>;
  /** Of a network that an engine made, what its maker did not know: whether it has a way out. */
  setEdge(network: string, edge: NetworkEdge): Promise<void>;
  /**
   * Holds an address for the cluster until `release`, whoever is the leader then; the answer is as
   * `Plumbing.reserve`, or `address` itself if it is held for the cluster already.
   */
  hold(request: ClusterHoldRequest): Promise<string>;
  /** Whether an address is held for the cluster, as far as this host hears in time. */
  isHeld(network: string, address: string): Promise<boolean>;
  release(network: string, address: string): Promise<void>;
  /**
   * A leader begins to tell all that it knows of a network. What it has not named ten minutes later, and
   * no endpoint has, was forgotten between two leaders, and `sweep` lets go of it.
   */
  takeOver(network: string): void;
  sweep(): Promise<void>;
}

export interface ClusterHoldRequest {
  readonly network: string;
  /** Without prefix length; without one, a free one is chosen. */
  readonly address?: string;
  readonly family: 4 | 6;
}

export interface PortRangeRequest extends PortRequest {
  /** The first one is chosen that is free, from `hostPort` to this one. */
  readonly hostPortEnd?: number;
}

export interface PoolRequest {
  /** Without one, a free one of this family is chosen. */
  readonly subnet?: string;
  readonly family: 4 | 6;
  readonly ipRange?: string;
  /** A network of this name, if there is one, decides what is not given. */
  readonly network?: string;
}

export interface PoolPlan {
  /** Canonical. */
  readonly subnet: string;
  readonly ipRange?: string;
}

export interface ReserveRequest {
  readonly network: string;
  /** Without one, a free one is chosen. */
  readonly address?: string;
  /** Of a free one; default: of the network's first subnet. */
  readonly family?: 4 | 6;
  /** Whom it is for, in the plugin's own words. */
  readonly holder: string;
  readonly again?: boolean;
}

export interface Reservation {
  readonly network: string;
  /** CIDR. */
  readonly address: string;
  readonly holder: string;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
  /** An endpoint of this host has it. */
  readonly isUsed: boolean;
}

export interface PlugRequest {
  /** 32 lower-case hex digits, chosen by the caller, never twice. */
  readonly endpoint: string;
  readonly network: string;
  /** One that is reserved, or else is to be acquired; without one, any. */
  readonly address?: string;
  /** Likewise, of a network with two subnets; without one, the endpoint has none. */
  readonly address6?: string;
  readonly mac?: string;
  /** Where the engine will have the sandbox; for people, it need not be there yet. */
  readonly sandbox: string;
}

export interface Plugged {
  readonly endpoint: string;
  readonly network: NetworkInfo;
  /** CIDR. */
  readonly address: string;
  readonly address6?: string;
  readonly mac: string;
  readonly mtu: number;
  /** The interface that the engine is to move, by its name on the host. */
  readonly device: string;
  /** Where default routes lead to, without prefix length, one for each family; none if there is no way out. */
  readonly gateways: readonly string[];
}
