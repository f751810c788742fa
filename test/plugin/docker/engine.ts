import type { ExecutionContext } from 'ava';
import type { DaemonOptions } from '../../../src/daemon/options.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';

export const NETWORK_ID = 'a'.repeat(64);
export const SANDBOX = '/run/docker/netns/0123456789ab';

export const endpointId = (number: number): string => String(number).padStart(4, '0').repeat(16);

const PORT_MAP = 'com.docker.network.portmap';

/** One of the engine's port mappings: a host's port, or a range of them, to port 80. */
export const portMapping = (
  HostPort: number,
  { HostPortEnd = HostPort, HostIP = '', Proto = 6 } = {},
): Said => ({ ...{ Proto, IP: '', Port: 80, HostIP, HostPort, HostPortEnd } });

type Said = Readonly<Record<string, unknown>>;

/** Calls as an engine makes them; each returns the answer or throws the sentence that Docker would show. */
export class FakeEngine {
  readonly host: MortalHost;

  constructor(host: MortalHost) {
    this.host = host;
  }

  async call(name: string, body: unknown): Promise<Said> {
    const said = await this.host.call(name, body);
    if (said === 'dead') throw new Error('dead');
    const { Err, Error: error } = said;
    // The field of the one API says nothing in the other.
    const sentence = name.startsWith('IpamDriver.') ? error : Err;
    if (typeof sentence === 'string') throw new Error(sentence);
    return said;
  }

  async pool(subnet: string, more: Said = {}): Promise<string> {
    const { PoolID: id } = await this.call('IpamDriver.RequestPool', {
      ...{ AddressSpace: 'WeftLocal', Pool: subnet, SubPool: '', Options: {}, V6: false },
      ...more,
    });
    return String(id);
  }

  async address(pool: string, wanted = '', options: Said | null = null): Promise<string> {
    const said = await this.call('IpamDriver.RequestAddress', {
      ...{ PoolID: pool, Address: wanted, Options: options },
    });
    return String(said['Address']);
  }

  gateway(pool: string, wanted = ''): Promise<string> {
    return this.address(pool, wanted, { RequestAddressType: 'com.docker.network.gateway' });
  }

  release(pool: string, address: string): Promise<Said> {
    return this.call('IpamDriver.ReleaseAddress', {
      ...{ PoolID: pool, Address: address.split('/')[0] },
    });
  }

  async createNetwork(
    subnet: string,
    { id = NETWORK_ID, options = {}, ipam = {}, aux = {}, gateway = '', own = {} } = {},
  ): Promise<string> {
    const pool = await this.pool(subnet, ipam);
    const chosen = await this.gateway(pool, gateway);
    for (const address of Object.values(aux)) await this.address(pool, String(address));
    await this.call('NetworkDriver.CreateNetwork', {
      NetworkID: id,
      Options: {
        ...{ 'com.docker.network.enable_ipv6': false, 'com.docker.network.generic': options },
        ...own,
      },
      IPv4Data: [{ AddressSpace: 'WeftLocal', Gateway: chosen, Pool: subnet, AuxAddresses: aux }],
      IPv6Data: [],
    });
    return pool;
  }

  /** With --ipv6: the ids of both pools, IPv4 first. */
  async createDual(
    subnet: string,
    subnet6: string,
    { id = NETWORK_ID, gateway6 = '', options = {}, ipam = {} } = {},
  ): Promise<readonly [string, string]> {
    const pools = [await this.pool(subnet, ipam), await this.pool(subnet6, { ...ipam, V6: true })];
    const [pool = '', pool6 = ''] = pools;
    const [chosen, chosen6] = [await this.gateway(pool), await this.gateway(pool6, gateway6)];
    const data = { AddressSpace: 'WeftLocal', AuxAddresses: {} };
    await this.call('NetworkDriver.CreateNetwork', {
      NetworkID: id,
      Options: {
        ...{ 'com.docker.network.enable_ipv6': true, 'com.docker.network.generic': options },
      },
      IPv4Data: [{ ...data, Gateway: chosen, Pool: subnet }],
      IPv6Data: [{ ...data, Gateway: chosen6, Pool: subnet6 }],
    });
    return [pool, pool6];
  }

  deleteNetwork(id = NETWORK_ID): Promise<Said> {
    return this.call('NetworkDriver.DeleteNetwork', { NetworkID: id });
  }

  async createEndpoint(
    number: number,
    address: string,
    { network = NETWORK_ID, mac = '', options = {}, address6 = '' } = {},
  ): Promise<Said> {
    const said = await this.call('NetworkDriver.CreateEndpoint', {
      ...{ NetworkID: network, EndpointID: endpointId(number), Options: options },
      Interface: { Address: address, AddressIPv6: address6, MacAddress: mac },
    });
    return said['Interface'] as Said;
  }

  /** The name of the interface on the host. */
  async join(number: number, network = NETWORK_ID): Promise<string> {
    const said = await this.joined(number, { network });
    return (said['InterfaceName'] as { readonly SrcName: string }).SrcName;
  }

  /** All that Join answers. */
  joined(number: number, { network = NETWORK_ID, ports = [] as Said[] } = {}): Promise<Said> {
    return this.call('NetworkDriver.Join', {
      ...{ NetworkID: network, EndpointID: endpointId(number), SandboxKey: SANDBOX },
      Options: { [PORT_MAP]: ports },
    });
  }

  publish(number: number, ports: readonly Said[], network = NETWORK_ID): Promise<Said> {
    return this.call('NetworkDriver.ProgramExternalConnectivity', {
      ...{ NetworkID: network, EndpointID: endpointId(number), Options: { [PORT_MAP]: ports } },
    });
  }

  revoke(number: number, network = NETWORK_ID): Promise<Said> {
    return this.call('NetworkDriver.RevokeExternalConnectivity', {
      ...{ NetworkID: network, EndpointID: endpointId(number) },
    });
  }

  leave(number: number, network = NETWORK_ID): Promise<Said> {
    return this.call('NetworkDriver.Leave', {
      ...{ NetworkID: network, EndpointID: endpointId(number) },
    });
  }

  deleteEndpoint(number: number, network = NETWORK_ID): Promise<Said> {
    return this.call('NetworkDriver.DeleteEndpoint', {
      ...{ NetworkID: network, EndpointID: endpointId(number) },
    });
  }
}

/** Two hosts of one mesh, each with an engine. */
export async function makeHosts(t: ExecutionContext, settings: Partial<DaemonOptions> = {}) {
  const world = new World(1);
  const a = new MortalHost('a', '192.0.2.1', world, settings);
  const b = new MortalHost('b', '192.0.2.2', world, settings);
  await a.start();
  await b.start();
  await b.run((control) => control.join(['192.0.2.1']));
  await world.pass(1000);
  t.teardown(() => {
    for (const host of [a, b]) host.kill();
  });
  return { world, a, b, one: new FakeEngine(a), two: new FakeEngine(b) };
}

/** The sentence of a refusal; empty if there was none. */
export const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};
