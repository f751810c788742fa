import type { ExposeRequest } from '../api/control.ts';
import { canonicalDnsName } from '../base/dns-name.ts';
import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { addressesOf, HOST_ORIGIN, type Endpoint } from '../network/endpoint.ts';
import { hostPortName } from '../network/names.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Netns } from '../os/netns.ts';
import { bareAddress } from '../wire/cidr.ts';
import type { Directory } from './directory.ts';
import type { Networks } from './networks.ts';
import { wantedAddresses, type Workloads } from './workloads.ts';

export interface ExposureOptions {
  readonly self: PeerId;
  /** This host's. */
  readonly hostName: string;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly workloads: Pick<Workloads, 'attach' | 'detach'>;
  readonly netns: Pick<Netns, 'own'>;
}

/**
 * This host itself on its networks: an endpoint like any other whose sandbox is the host's own namespace,
 * so that tables, names, repair and restarts need to know nothing of it. Its interface `weft-h…` is an end
 * of a pair and not the bridge, which stays a plain wire without addresses, or is the gateway, which every
 * host is (docs/adr/0061).
 */
export class Exposure {
  readonly #options: ExposureOptions;

  constructor(options: ExposureOptions) {
    this.#options = options;
  }

  /** Asked again for the same, it is the endpoint that there is. */
  async expose({ network: name, ...wanted }: ExposeRequest): Promise<Endpoint> {
    const { hostName, networks, netns, workloads } = this.#options;
    const network = networks.require(name);
    refuseIsolated(network);
    const ifname = hostPortName(network.vni);
    const present = this.#present(network.name);
    if (present === undefined) await networks.checkHostRoutes(network, ifname);
    else refuseOther(present, network, wanted);
    const plain = canonicalDnsName(hostName);
    return workloads.attach(
      {
        ...{ network: name, ifname: present?.ifname ?? ifname, origin: HOST_ORIGIN, ...wanted },
        // The host has its own ways out.
        defaultRoute: false,
        ...(plain !== undefined && present === undefined && { names: [plain] }),
      },
      await netns.own(),
    );
  }

  async hide(name: string): Promise<Endpoint> {
    const { networks, workloads } = this.#options;
    const network = networks.require(name).name;
    const present = this.#present(network);
    if (present !== undefined) return workloads.detach({ endpoint: present.id });
    throw new AppError(
      'E_ENDPOINT_MISSING',
      `This host is not on network ${network}; "weft ps" shows where it is.`,
    );
  }

  /** After a start, before anything is reconciled: the kernel may have booted, and numbers namespaces anew. */
  async adopt(): Promise<void> {
    const { directory, netns } = this.#options;
    const own = this.#own();
    if (own.length === 0) return;
    const sandbox = await netns.own();
    for (const endpoint of own) {
      const isSame = endpoint.sandbox.inode === sandbox.inode;
      if (!isSame) directory.putEndpoint({ ...endpoint, sandbox });
    }
  }

  #present(network: string): Endpoint | undefined {
    return this.#own().find((endpoint) => endpoint.network === network);
  }

  #own(): Endpoint[] {
    const { directory, self } = this.#options;
    return directory.endpointsOf(self).filter(({ origin }) => origin === HOST_ORIGIN);
  }
}

/** By the bridge the host reaches the ports of an isolated network already, and no port reaches another. */
function refuseIsolated({ name, isolated, addressing }: NetworkDefinition): void {
  if (isolated !== true) return;
  throw new AppError(
    'E_NETWORK_ISOLATED',
    `Network ${name} is isolated: its endpoints reach nobody but the gateway ${addressing?.gateway ?? ''}, which this host is for those here; expose the host on a network without --isolate.`,
  );
}

function refuseOther(
  present: Endpoint,
  network: NetworkDefinition,
  wanted: Pick<ExposeRequest, 'ip' | 'ip6'>,
): void {
  const { address, address6 } = wantedAddresses(network, wanted);
  const isSame =
    [undefined, present.address].includes(address) &&
    [undefined, present.address6].includes(address6);
  if (isSame) return;
  const has = addressesOf(present).map(bareAddress).join(' and ');
  throw new AppError(
    'E_ENDPOINT_EXISTS',
    `This host is on network ${network.name} already, with address ${has}; "weft hide ${network.name}" first.`,
  );
}
