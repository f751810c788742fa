import type { Control } from '../../api/control.ts';
import type { ClusterPlumbing, Plumbing } from '../../api/plumbing.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { asMillis } from '../../base/types.ts';
import { Bindings } from './bindings.ts';
import { DockerEndpoints } from './endpoints.ts';
import { DockerNetworks } from './networks.ts';
import { ADDRESS_SPACES } from './pool-id.ts';
import { HOLDERS, Pools } from './pools.ts';
import { isMethod, parseRequest, type Method, type RequestOf } from './schema.ts';

/** Whether the engine's networks are its own, or those of its cluster. */
export type Scope = 'local' | 'global';

export interface DockerDriverOptions {
  readonly control: Pick<Control, 'listNetworks' | 'join'>;
  readonly plumbing: Plumbing;
  readonly cluster: ClusterPlumbing;
  readonly scope: Scope;
  /** The engine has called, so it is there. */
  readonly called: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The answer to one call: an HTTP status and a JSON object. */
export interface Answer {
  readonly status: number;
  readonly body: object;
}

const SWEEP_EVERY = asMillis(60_000);
/** An engine makes the endpoint within a second of asking for its address, or has died over it. */
const KEPT_WITHOUT_ENDPOINT_MS = 600_000;
/** What DiscoverNew tells of another node of a cluster. */
const NODE_DISCOVERY = 1;

type Handlers = { readonly [M in Method]: (request: RequestOf<M>) => object | Promise<object> };

/**
 * Docker's NetworkDriver and IpamDriver (libnetwork's remote drivers): a name and a JSON value in, a JSON
 * value out. Errors are sentences, in the field that each of the two reads.
 */
export class DockerDriver {
  readonly #options: DockerDriverOptions;
  readonly #networks: DockerNetworks;
  readonly #handlers: Handlers;
  #sweep: Timer | undefined;
  #isStopped = false;

  constructor(options: DockerDriverOptions) {
    this.#options = options;
    const { control, plumbing, cluster } = options;
    const isClustered = options.scope === 'global';
    const bindings = new Bindings(plumbing);
    const allocations = new Bindings(plumbing, 'swarm-network');
    const all = { plumbing, cluster, isClustered, bindings, allocations };
    const pools = new Pools({ control, ...all });
    this.#networks = new DockerNetworks({ ...all, pools });
    const endpoints = new DockerEndpoints({ plumbing, bindings });
    this.#handlers = this.#makeHandlers(pools, endpoints);
  }

  /** Undoes what a crash cut off, and begins to look for addresses that an engine forgot. */
  async start(): Promise<void> {
    await this.#networks.recover();
    this.#scheduleSweep();
  }

  stop(): void {
    this.#isStopped = true;
    this.#sweep?.cancel();
  }

  /** Answers a call; never rejects. `body` is what JSON.parse made of the request, null if it was empty. */
  async call(name: string, body: unknown): Promise<Answer> {
    this.#options.called();
    if (!isMethod(name)) {
      const sentence = `Weft does not know the call "${name.slice(0, 80)}"; is the engine newer than Weft?`;
      return refuse(name, 404, sentence);
    }
    const answer = await this.#answer(name, body);
    this.#options.log.debug({ call: name, body, answer: answer.body }, 'Docker asked');
    return answer;
  }

  async #answer(name: Method, body: unknown): Promise<Answer> {
    try {
      return { status: 200, body: await this.#run(name, body) };
    } catch (error) {
      return this.#refuse(name, error);
    }
  }

  #run(name: Method, body: unknown): object | Promise<object> {
    // Request and handler belong to one name; TypeScript can't follow that through the union of all.
    const handle = this.#handlers[name] as (request: unknown) => object | Promise<object>;
    return handle(parseRequest(name, body));
  }

  #refuse(name: string, error: unknown): Answer {
    if (error instanceof AppError) {
      // What Docker would never send is told by the status too; for the rest, 200 keeps its own words.
      return refuse(name, error.code === 'E_USAGE' ? 400 : 200, error.message);
    }
    this.#options.log.error(
      { err: error, call: name },
      'a call of Docker failed inside the daemon',
    );
    return refuse(
      name,
      200,
      `The daemon failed while it answered ${name}; this is a bug, and its log tells more.`,
    );
  }

  #makeHandlers(pools: Pools, endpoints: DockerEndpoints): Handlers {
    const networks = this.#networks;
    const { scope } = this.#options;
    return {
      'Plugin.Activate': () => ({ Implements: ['NetworkDriver', 'IpamDriver'] }),

      'NetworkDriver.GetCapabilities': () => ({ Scope: scope, ConnectivityScope: 'global' }),
      'NetworkDriver.GwAllocCheck': () => ({ SkipIPv4: false, SkipIPv6: false }),
      'NetworkDriver.AllocateNetwork': (request) => networks.allocate(request),
      'NetworkDriver.FreeNetwork': (request) => networks.free(request),
      'NetworkDriver.CreateNetwork': (request) => networks.create(request),
      'NetworkDriver.DeleteNetwork': (request) => networks.delete(request),
      'NetworkDriver.CreateEndpoint': (request) => endpoints.create(request),
      'NetworkDriver.DeleteEndpoint': (request) => endpoints.delete(request),
      'NetworkDriver.EndpointOperInfo': (request) => endpoints.info(request),
      'NetworkDriver.Join': (request) => endpoints.join(request),
      'NetworkDriver.Leave': (request) => endpoints.leave(request),
      'NetworkDriver.ProgramExternalConnectivity': (request) => endpoints.publish(request),
      'NetworkDriver.RevokeExternalConnectivity': (request) => endpoints.revoke(request),
      'NetworkDriver.DiscoverNew': (request) => this.#discover(request),
      'NetworkDriver.DiscoverDelete': () => ({}),

      'IpamDriver.GetCapabilities': () => ({
        RequiresMACAddress: false,
        RequiresRequestReplay: true,
      }),
      'IpamDriver.GetDefaultAddressSpaces': () => ({
        LocalDefaultAddressSpace: ADDRESS_SPACES.local,
        GlobalDefaultAddressSpace: ADDRESS_SPACES.global,
      }),
      'IpamDriver.RequestPool': (request) => pools.requestPool(request),
      'IpamDriver.ReleasePool': (request) => pools.releasePool(request),
      'IpamDriver.RequestAddress': (request) => pools.requestAddress(request),
      'IpamDriver.ReleaseAddress': (request) => pools.releaseAddress(request),
    };
  }

  /** Another node of the engine's cluster most likely runs Weft too; the answer does not wait for it. */
  #discover({
    DiscoveryType: type,
    DiscoveryData: data,
  }: RequestOf<'NetworkDriver.DiscoverNew'>): object {
    const { control, log } = this.#options;
    const address = type === NODE_DISCOVERY ? otherNode(data) : undefined;
    if (address === undefined) return {};
    control.join([address]).then(
      () => log.info({ address }, 'joined a node of the engine’s cluster'),
      (error: unknown) =>
        log.info({ address, reason: String(error) }, 'a node of the engine’s cluster has no Weft'),
    );
    return {};
  }

  #scheduleSweep(): void {
    if (this.#isStopped) return;
    this.#sweep = this.#options.clock.after(SWEEP_EVERY, () => {
      void this.#sweepUp().finally(() => this.#scheduleSweep());
    });
  }

  async #sweepUp(): Promise<void> {
    await this.#releaseForgotten();
    await this.#disuseForgotten();
    await this.#options.cluster.sweep();
  }

  /** A crash took the binding; other hosts, who had heard of the mark, brought it back. */
  async #disuseForgotten(): Promise<void> {
    const { plumbing, log } = this.#options;
    for (const network of plumbing.uses()) {
      if (this.#networks.has(network)) continue;
      try {
        await plumbing.disuse(network);
        log.info({ network }, 'no engine of this host has this network; let go');
      } catch (error) {
        log.warn({ network, err: error }, 'a network could not be let go');
      }
    }
  }

  /** An engine that was killed after it had asked for an address does not know it any more. */
  async #releaseForgotten(): Promise<void> {
    const { clock, plumbing, log } = this.#options;
    const before = clock.wallNow() - KEPT_WITHOUT_ENDPOINT_MS;
    for (const { network, address, holder, since, isUsed } of plumbing.reservations()) {
      if (isUsed || since > before || holder !== HOLDERS.container) continue;
      try {
        await plumbing.release(network, address);
        log.info({ network, address }, 'reserved by an engine that made no endpoint; released');
      } catch (error) {
        log.warn({ network, address, err: error }, 'a forgotten reservation could not be released');
      }
    }
  }
}

/** NetworkDriver reads `Err`, and IpamDriver `Error`: in the other's field it would see a success. */
function refuse(name: string, status: number, sentence: string): Answer {
  const field = name.startsWith('IpamDriver.') ? 'Error' : 'Err';
  return { status, body: { [field]: sentence } };
}

function otherNode(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { Address: address, Self: isSelf, self: isSelfToo } = data as Record<string, unknown>;
  return typeof address === 'string' && address !== '' && isSelf !== true && isSelfToo !== true
    ? address
    : undefined;
}
