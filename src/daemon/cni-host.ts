import type {
  AttachRequest,
  Control,
  DetachRequest,
  EndpointInfo,
  NetworkRequest,
} from '../api/control.ts';
import type { Clock } from '../base/clock.ts';
import { isAppError } from '../base/errors.ts';
import { asMillis, type PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { subnetsOf } from '../network/subnets.ts';
import type { CniHost, Hindrance, NetworkFacts } from '../plugin/cni/host.ts';
import type { Addresses } from './addresses.ts';
import type { Directory } from './directory.ts';
import type { NameService } from './name-service.ts';
import type { Peers } from './peers.ts';
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
  readonly nameService: Pick<NameService, 'resolvConf'>;
  readonly state: Pick<State, 'failure'>;
  readonly serial: Serial;
  readonly clock: Clock;
}

/** What the CNI plugin needs, by what the daemon has. */
export class DaemonCniHost implements CniHost {
  readonly #options: DaemonCniHostOptions;
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
    return { subnets: subnetsOf(network), gateways: [], ...(dns && { dns }) };
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

  attach(request: AttachRequest): Promise<EndpointInfo> {
    return this.#options.control.attach(request);
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
    const mtu = directory.network(endpoint.network)?.mtu ?? 0;
    return endpointInfo(endpoint, { mtu, hostName: (host) => peers.nameOf(host) });
  }
}
