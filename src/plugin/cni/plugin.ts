import { createHash } from 'node:crypto';
import type { AttachRequest, EndpointInfo } from '../../api/control.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import { canonicalDnsName } from '../../base/dns-name.ts';
import type { Face, FaceAnswer } from '../../api/face.ts';
import type { Logger } from '../../base/log.ts';
import { readCall, type Call } from './call.ts';
import {
  IPAM_PLUGIN,
  isIpamOnly,
  networkOf,
  originOf,
  readConfig,
  readIdentity,
  versionOf,
  type Config,
  type Dns,
  type Identity,
} from './config.ts';
import { bandwidthOf, otherRates } from './bandwidth.ts';
import { CniError, CODE, fromAppError } from './error.ts';
import type { CniHost, Hindrance, NetworkFacts } from './host.ts';
import { CniIpam, ipamNetworkOf } from './ipam.ts';
import { missingPorts, portsOf, refuseForeignFamilies } from './ports.ts';
import { compareWithResult, shapeResult } from './result.ts';
import { readRoutes, routeRequest, routesOf } from './routes.ts';
import { ensureNetwork, wantedAddresses } from './wanted.ts';
import { NEWEST_VERSION, SUPPORTED_VERSIONS } from './version.ts';

/** A config and a previous result of each of hundreds of containers (GC) fit in it. */
const BODY_LIMIT_BYTES = 8 * 2 ** 20;

const OK = 200;
const DONE = 204;
const REFUSED = 422;

const HINDRANCES: Readonly<Record<Hindrance, readonly [code: number, sentence: string]>> = {
  addresses: [
    CODE.unavailable,
    'This host may not give out addresses of the network now, as too few of the hosts that vote on them are reachable.',
  ],
  cutOff: [
    CODE.unavailableAndDegraded,
    'This host reaches none of its peers and may not give out addresses of the network; containers reach only those of this host.',
  ],
  disk: [
    CODE.unavailable,
    'The state directory can\'t be written, so no container can be attached; "weft status" says why.',
  ],
};

/**
 * Container Network Interface, on the daemon's side of the CNI program (native/cni): reads a call,
 * does it, and shapes what is answered as the config's version has it.
 *
 * It remembers nothing itself. An endpoint's id follows from the host, the config's name, the container
 * and the interface, so that each later call finds the endpoint that an ADD made, whatever was killed
 * between the two; its origin tells whose it is (ADR 34).
 */
export class CniPlugin implements Face {
  readonly path = '/v1/cni';
  readonly bodyLimitBytes = BODY_LIMIT_BYTES;
  readonly #host: CniHost;
  readonly #ipam: CniIpam;
  readonly #log: Logger;

  constructor(host: CniHost, log: Logger) {
    this.#host = host;
    this.#ipam = new CniIpam(host);
    this.#log = log;
  }

  /** 200 with a result, 204 for a command that has none, 422 with the specification's error document. */
  async answer(body: unknown): Promise<FaceAnswer> {
    try {
      const call = readCall(body);
      const result = await this.#run(call);
      return result === undefined ? { status: DONE } : { status: OK, body: result };
    } catch (error) {
      return { status: REFUSED, body: this.#document(error, body) };
    }
  }

  #run(call: Call): Promise<object | undefined> {
    switch (call.command) {
      case 'ADD':
        return this.#add(call);
      case 'DEL':
        return this.#delete(call);
      case 'CHECK':
        return this.#check(call);
      case 'GC':
        return this.#collect(call);
      case 'STATUS':
        return this.#status(call);
    }
  }

  async #add(call: Call): Promise<object> {
    if (isIpamOnly(call, readIdentity(call))) return this.#ipam.add(call);
    const config = readConfig(call);
    refuseUnsupported(call, config);
    const network = networkOf(config);
    const request = wanted(call, config);
    await this.#ensureNetwork(network, config);
    const { subnets } = this.#host.network(network) ?? {};
    if (subnets) refuseForeignFamilies(request.ports ?? [], network, subnets);
    const endpoint = await this.#host.attach({
      ...{ network, netns: call.netns, ifname: call.ifname },
      ...{ id: this.#idOf(call, config), origin: `${originOf(config)}${call.containerId}` },
      ...request,
    });
    return this.#result(call, config, endpoint);
  }

  #result(call: Call, config: Config, endpoint: EndpointInfo): object {
    const facts = this.#host.network(endpoint.network);
    const dns = facts?.dns;
    return shapeResult(
      config.cniVersion,
      {
        addresses: addressesOf(endpoint),
        gateways: facts?.edge === undefined ? [] : facts.gateways,
        routes: facts ? routesOf(readRoutes(config.ipam?.routes ?? []), facts) : [],
        dns: config.runtimeConfig.dns ?? config.dns ?? (dns && namesAt(dns)),
        interface: { ...endpoint, sandbox: call.netns },
      },
      config.prevResult,
    );
  }

  /** Done already is done: runtimes repeat it until it succeeds once, also long after the sandbox is gone. */
  async #delete(call: Call): Promise<undefined> {
    const config = readIdentity(call);
    if (isIpamOnly(call, config)) return this.#ipam.delete(call);
    await this.#detach(this.#idOf(call, config));
    return undefined;
  }

  async #check(call: Call): Promise<undefined> {
    if (isIpamOnly(call, readIdentity(call))) return this.#ipam.check(call);
    const config = readConfig(call);
    const { prevResult } = config;
    if (prevResult === undefined) {
      throw new CniError(CODE.invalidConfig, 'The config has no prevResult, which CHECK needs.');
    }
    const endpoint = this.#host.endpoint(this.#idOf(call, config));
    if (endpoint === undefined) {
      throw new CniError(
        CODE.unknownContainer,
        `Container ${call.containerId} has no ${call.ifname} on network ${networkOf(config)}; it was never added, or is gone.`,
      );
    }
    const differences = [
      ...compareWithResult(endpoint, addressesOf(endpoint), call, prevResult),
      ...missingPorts(portsOf(config), endpoint),
      ...otherRates(bandwidthOf(config), endpoint),
      ...(await this.#host.examine(endpoint.endpoint)),
    ];
    if (differences.length === 0) return undefined;
    throw new CniError(
      CODE.differs,
      `${call.ifname} of container ${call.containerId} is not as it was made: ${differences.join('; ')}.`,
    );
  }

  /** Removes what belongs to this config and to no attachment that the runtime still knows. */
  async #collect(call: Call): Promise<undefined> {
    const config = readIdentity(call);
    const valid = config['cni.dev/valid-attachments'];
    if (valid === undefined) {
      throw new CniError(
        CODE.invalidConfig,
        'The config has no "cni.dev/valid-attachments", which GC needs: without it, every container would lose its network.',
      );
    }
    const attachments = valid.map(({ containerID, ifname }) => ({
      ...{ containerId: containerID, ifname },
    }));
    if (isIpamOnly(call, config)) {
      await this.#ipam.collect(config, attachments);
      return undefined;
    }
    const kept = new Set(attachments.map((attachment) => this.#idOf(attachment, config)));
    const stale = this.#host
      .endpointsFrom(originOf(config))
      .filter(({ endpoint }) => !kept.has(endpoint));
    for (const { endpoint } of stale) await this.#detach(endpoint);
    return undefined;
  }

  #status(call: Call): Promise<undefined> {
    const config = readIdentity(call);
    const isDelegate = isIpamOnly(call, config);
    const name = isDelegate ? ipamNetworkOf(config) : networkOf(config);
    const subnet = isDelegate ? config.ipam?.subnet : (config.subnet ?? config.ipam?.subnet);
    const isThere = this.#host.network(name) !== undefined;
    if (!isThere && subnet === undefined) {
      throw new CniError(
        CODE.unavailable,
        `There is no network ${name} yet; create it with "weft network create", or give the config a "subnet".`,
      );
    }
    const hindrance = this.#host.hindrance(name);
    if (hindrance === undefined) return Promise.resolve(undefined);
    throw new CniError(...HINDRANCES[hindrance]);
  }

  async #detach(endpoint: string): Promise<void> {
    try {
      await this.#host.detach({ endpoint });
    } catch (error) {
      if (!isAppError(error, 'E_ENDPOINT_MISSING')) throw error;
    }
  }

  async #ensureNetwork(name: string, config: Config): Promise<void> {
    const subnet = config.subnet ?? config.ipam?.subnet;
    if (subnet === undefined) return;
    const { subnet6, ipv6, ipRange, ipRange6, edge, gateway, gateway6, mtu, vni } = config;
    await ensureNetwork(this.#host, {
      ...{ name, subnet },
      ...(subnet6 !== undefined && { subnet6 }),
      ...(ipv6 !== undefined && { ipv6 }),
      ...(ipRange !== undefined && { ipRange }),
      ...(ipRange6 !== undefined && { ipRange6 }),
      ...(edge !== undefined && { edge }),
      ...(gateway !== undefined && { gateway }),
      ...(gateway6 !== undefined && { gateway6 }),
      ...(mtu !== undefined && { mtu }),
      ...(vni !== undefined && { vni }),
    });
  }

  /** 32 hex digits. */
  #idOf(call: Pick<Call, 'containerId' | 'ifname'>, { name }: Pick<Identity, 'name'>): string {
    const parts = ['cni', this.#host.id, name, call.containerId, call.ifname];
    return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
  }

  #document(error: unknown, body: unknown): object {
    const known = this.#explain(error);
    const { stdin } = (body ?? {}) as { readonly stdin?: unknown };
    const version = typeof stdin === 'string' ? versionOf(stdin) : undefined;
    return {
      cniVersion: SUPPORTED_VERSIONS.find((each) => each === version) ?? NEWEST_VERSION,
      ...{ code: known.code, msg: known.message },
      ...(known.details !== undefined && { details: known.details }),
    };
  }

  #explain(error: unknown): CniError {
    if (error instanceof CniError) return error;
    if (error instanceof AppError) return fromAppError(error);
    this.#log.error({ err: error }, 'a CNI call failed inside the daemon');
    return new CniError(
      CODE.refused,
      'The daemon failed over the call; this is a bug, and its log tells more.',
      'E_INTERNAL',
    );
  }
}

const addressesOf = ({ address, address6 }: EndpointInfo): readonly string[] =>
  address6 === undefined ? [address] : [address, address6];

const namesAt = ({ servers, search }: NonNullable<NetworkFacts['dns']>): Dns => ({
  ...{ nameservers: [...servers], search: [...search] },
});

/** Code 2, with key and value, for what a config or runtime asks and nobody would do. */
function refuseUnsupported(call: Call, config: Config): void {
  const { ipam, runtimeConfig } = config;
  const refuse = (key: string, value: unknown, why: string): never => {
    throw new CniError(
      CODE.unsupportedField,
      `The config's ${key} is ${JSON.stringify(value)}; ${why}.`,
    );
  };
  if (ipam?.type !== undefined && ![call.plugin, IPAM_PLUGIN].includes(ipam.type)) {
    refuse('ipam.type', ipam.type, `Weft gives the addresses of its networks itself; leave it out`);
  }
  const { ipRanges, infinibandGUID, deviceID } = runtimeConfig;
  if (ipRanges.length > 0) {
    refuse('ipRanges', ipRanges, 'a network has one subnet and one "ipRange" of its own');
  }
  if (infinibandGUID !== '') refuse('infinibandGUID', infinibandGUID, 'Weft carries Ethernet');
  if (deviceID !== '') refuse('deviceID', deviceID, 'Weft makes the interface itself');
}

/** What this one container is to have: by capability first, then by the older conventions. */
function wanted(call: Call, config: Config): Partial<AttachRequest> {
  const { runtimeConfig, ipam } = config;
  const mac = runtimeConfig.mac ?? call.args.get('MAC');
  const names = namesOf(call, config);
  const ports = portsOf(config);
  const bandwidth = bandwidthOf(config);
  const routes = readRoutes(ipam?.routes ?? []).map(routeRequest);
  return {
    ...wantedAddresses(call, config),
    ...(mac !== undefined && { mac }),
    ...(names.length > 0 && { names }),
    ...(routes.length > 0 && { routes }),
    ...(ports.length > 0 && { ports }),
    ...(bandwidth && { bandwidth }),
  };
}

/** The pod's or container's name where it can be one in DNS, and every alias, which must. */
function namesOf({ args }: Call, { name, runtimeConfig: { aliases } }: Config): string[] {
  const given = Array.isArray(aliases) ? aliases : (aliases[name] ?? []);
  const pod = canonicalDnsName(args.get('K8S_POD_NAME') ?? '');
  const namespace = canonicalDnsName(args.get('K8S_POD_NAMESPACE') ?? '');
  return [
    ...(pod === undefined ? [] : [pod]),
    ...(pod === undefined || namespace === undefined ? [] : [`${pod}.${namespace}`]),
    ...given,
  ];
}
