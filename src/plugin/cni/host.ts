import type {
  AttachRequest,
  DetachRequest,
  EndpointInfo,
  NetworkEdge,
  NetworkRequest,
} from '../../api/control.ts';

/** What of a network decides how a container's result looks. */
export interface NetworkFacts {
  /** CIDRs without host bits, in canonical text; one of each family at most. */
  readonly subnets: readonly string[];
  /** Addresses that no endpoint gets: the hosts' own as gateway if there is an `edge`, else somebody's. */
  readonly gateways: readonly string[];
  /** Whether the hosts are its gateway, and if so, whether that leads out. */
  readonly edge?: NetworkEdge;
  /** Where its containers ask for names, if this host answers them. */
  readonly dns?: { readonly servers: readonly string[]; readonly search: readonly string[] };
}

export interface AddressRequest {
  readonly network: string;
  readonly holder: string;
  /** One of each family at most. Default: free ones. */
  readonly addresses: readonly string[];
}

export interface HeldAddress {
  /** CIDR. */
  readonly address: string;
  readonly holder: string;
  /** The id of its network, which may be gone. */
  readonly pool: string;
}

/**
 * Why a container can't be attached now: this host may not give out addresses (`addresses`), it may not
 * and is cut off from every peer besides (`cutOff`), or nothing can be written down (`disk`).
 */
export type Hindrance = 'addresses' | 'cutOff' | 'disk';

/** What the plugin needs of the daemon. Methods reject with an `AppError` and have changed nothing then. */
export interface CniHost {
  /** This host's id: two hosts may be given one container's id. */
  readonly id: string;
  network(name: string): NetworkFacts | undefined;
  /**
   * Makes a network that any host may be about to make too, unless there is one of that name; settles
   * when the hosts agree on it, after at most a second.
   */
  ensureNetwork(request: NetworkRequest): Promise<void>;
  attach(request: AttachRequest): Promise<EndpointInfo>;
  detach(request: DetachRequest): Promise<EndpointInfo>;
  /** An endpoint of this host. */
  endpoint(id: string): EndpointInfo | undefined;
  /** Those of this host whose origin begins so. */
  endpointsFrom(origin: string): readonly EndpointInfo[];
  /**
   * Holds an address of each of the network's subnets without an endpoint, over restarts, until `release`:
   * all or none; E_ENDPOINT_EXISTS if the holder has any. The answer are CIDRs, the first subnet's first.
   */
  reserve(request: AddressRequest): Promise<readonly string[]>;
  /** Addresses that this host holds for holders whose names begin so. */
  held(prefix: string): readonly HeldAddress[];
  /** Lets go of it; does nothing if nobody holds it. */
  release(held: HeldAddress): Promise<void>;
  /** How an endpoint's interface differs from what it should be. Nothing is repaired. */
  examine(id: string): Promise<readonly string[]>;
  hindrance(network: string): Hindrance | undefined;
}
