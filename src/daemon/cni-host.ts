import type {
  AttachRequest,
  Control,
  DetachRequest,
  EndpointInfo,
  NetworkRequest,
} from '../api/control.ts';
import type { Clock } from '../base/clock.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { asMillis, type PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { subnetsOf } from '../network/subnets.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import type {
  AddressRequest,
  CniHost,
  HeldAddress,
  Hindrance,
  NetworkFacts,
} from '../plugin/cni/host.ts';
import type { Addresses } from './addresses.ts';
import type { Directory } from './directory.ts';
import type { Engines } from './engines.ts';
import type { NameService } from './name-service.ts';
import type { Peers } from './peers.ts';
import type { Reservations } from './reservations.ts';
import type { Serial } from './serial.ts';
import type { State } from './state.ts';
import { endpointInfo } from './views.ts';
import type { Workloads } from './workloads.ts';

/** Longer than a row takes to every host of a mesh in good health. */
const AGREED_AFTER = asMillis(1_000);

export interface DaemonCniHostOptions {
  readonly self: PeerId;
  readonly control: Pick<Control, 'attach' | 'detach' | 'createNetwork'>;
  readonly directory: Directory;
  readonly workloads: Pick<Workloads, 'examine'>;
  readonly addresses: Pick<Addresses, 'pools' | 'now'>;
  readonly peers: Peers;
  readonly nameService: Pick<NameService, 'refresh' | 'resolvConf'>;
  readonly state: Pick<State, 'failure'>;
  readonly serial: Serial;
  readonly engines: Pick<Engines, 'reserve' | 'release'>;
  readonly reservations: Pick<Reservations, 'all' | 'remove'>;
  /** That a network has at this moment. */
  readonly mtuOf: (network: NetworkDefinition) => number;
  readonly clock: Clock;
}

/** Those of CNI among the holders of addresses: engines mark the networks that they use. */
export const cniHolders = (held: readonly Pick<HeldAddress, 'holder'>[]): readonly string[] =>
  held.flatMap(({ holder }) => (holder.startsWith('cni ') ? [holder] : []));

/** What the CNI plugin needs, by what the daemon has. */
export class DaemonCniHost implements CniHost {
  readonly #options: DaemonCniHostOptions;
  /** Holders for whom an address is being chosen. */
  readonly #reserving = new Set<string>();
  /** Networks that were made here a moment ago, and when the others have heard of it. */
  readonly #agreeing = new Map<string, Promise<void>>();

  constructor(options: DaemonCniHostOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.self;
  }

  network(name: string): NetworkFacts | undefined {
    const network = this.#options.directory.network(name);
    if (network === undefined) return undefined;
    const dns = this.#options.nameService.resolvConf(name);
    const { edge, addressing: { gateway, gateway6 } = {} } = network;
    return {
      subnets: subnetsOf(network),
      gateways: [gateway, gateway6].filter((each) => each !== undefined),
      ...(edge && { edge }),
      ...(dns && { dns }),
    };
  }

  async ensureNetwork(request: NetworkRequest): Promise<void> {
    const { control, directory } = this.#options;
    if (directory.network(request.name) === undefined) {
      try {
        await control.createNetwork({ ...request, shared: true });
        this.#agree(request.name);
      } catch (error) {
        // Another call, or another host, was first.
        if (!isAppError(error, 'E_NETWORK_EXISTS')) throw error;
      }
    }
    await this.#agreeing.get(request.name);
  }

  /** The first container brings the bridge on which names are answered: its result is to tell where. */
  async attach(request: AttachRequest): Promise<EndpointInfo> {
    const { control, directory, nameService } = this.#options;
    const endpoint = await control.attach(request);
    const hasGateway = directory.network(endpoint.network)?.edge !== undefined;
    if (hasGateway && nameService.resolvConf(endpoint.network) === undefined) {
      await nameService.refresh();
    }
    return endpoint;
  }

  detach(request: DetachRequest): Promise<EndpointInfo> {
    return this.#options.control.detach(request);
  }

  endpoint(id: string): EndpointInfo | undefined {
    const { directory, self } = this.#options;
    const endpoint = directory.endpoint(id);
    return endpoint?.host === self ? this.#info(endpoint) : undefined;
  }

  endpointsFrom(origin: string): readonly EndpointInfo[] {
    const { directory, self } = this.#options;
    return directory
      .endpointsOf(self)
      .filter((endpoint) => endpoint.origin?.startsWith(origin))
      .map((endpoint) => this.#info(endpoint));
  }

  async reserve(request: AddressRequest): Promise<readonly string[]> {
    const { holder } = request;
    if (this.#reserving.has(holder) || this.held(holder).some((each) => each.holder === holder)) {
      throw new AppError(
        'E_ENDPOINT_EXISTS',
        `An address is held already for "${holder}"; release it first.`,
      );
    }
    this.#reserving.add(holder);
    try {
      return await this.#reserve(request);
    } finally {
      this.#reserving.delete(holder);
    }
  }

  async #reserve({ network, holder, addresses }: AddressRequest): Promise<readonly string[]> {
    const { directory, engines } = this.#options;
    const found = directory.network(network);
    const families = (found === undefined ? [] : subnetsOf(found)).map(familyOf);
    const [first = 4, second] = families;
    const reserve = (family: 4 | 6): Promise<string> => {
      const wanted = addresses.find((each) => familyOf(each) === family);
      return engines.reserve({
        ...{ network, holder },
        ...(wanted === undefined ? { family } : { address: wanted }),
      });
    };
    const lost = addresses.find(
      (each) => families.length > 0 && !families.includes(familyOf(each)),
    );
    // Refused by its name, and not passed over.
    if (lost !== undefined) return [await engines.reserve({ network, holder, address: lost })];
    const given = await reserve(first);
    if (second === undefined) return [given];
    try {
      return [given, await reserve(second)];
    } catch (error) {
      await engines.release(network, bareAddress(given));
      throw error;
    }
  }

  held(prefix: string): readonly HeldAddress[] {
    return this.#options.reservations.all().filter(({ holder }) => holder.startsWith(prefix));
  }

  /** Of a network that is gone nothing is left but what this host has written down. */
  async release({ pool, address }: HeldAddress): Promise<void> {
    const { directory, engines, reservations } = this.#options;
    const network = directory.networkById(pool);
    if (network !== undefined) await engines.release(network.name, address);
    await reservations.remove({ pool, address });
  }

  /** In its turn: what is being made is not looked at. */
  examine(id: string): Promise<readonly string[]> {
    const { serial, workloads } = this.#options;
    return serial.run(() => workloads.examine(id));
  }

  hindrance(name: string): Hindrance | undefined {
    const { addresses, peers, state, self } = this.#options;
    if (state.failure !== undefined) return 'disk';
    const holding = addresses
      .pools()
      .find(
        ({ pool, holding }) => pool.name === name && !holding.isLeased(addresses.now()),
      )?.holding;
    if (holding === undefined) return undefined;
    const { voters } = holding.chosen;
    const present = voters.filter(({ id }) => id === self || peers.isAlive(id));
    if (2 * present.length > voters.length) return undefined;
    return peers.ids().some((id) => peers.isAlive(id)) ? 'addresses' : 'cutOff';
  }

  /** A host alone has nobody to agree with. */
  #agree(name: string): void {
    const { clock, peers } = this.#options;
    if (!peers.ids().some((id) => peers.isAlive(id))) return;
    const agreed = new Promise<void>((resolve) => void clock.after(AGREED_AFTER, resolve));
    this.#agreeing.set(name, agreed);
    void agreed.then(() => this.#agreeing.delete(name));
  }

  #info(endpoint: Endpoint): EndpointInfo {
    const { directory, peers } = this.#options;
    const network = directory.network(endpoint.network);
    const mtu = network === undefined ? 0 : this.#options.mtuOf(network);
    return endpointInfo(endpoint, { mtu, hostName: (host) => peers.nameOf(host) });
  }
}
