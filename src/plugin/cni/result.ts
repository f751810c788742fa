import type { EndpointInfo } from '../../api/control.ts';
import { familyOf } from '../../wire/cidr.ts';
import type { Dns, PreviousResult } from './config.ts';
import { isSince, type CniVersion } from './version.ts';

/** A route as results name it: `0.0.0.0/0`, and the gateway if there is one. */
export interface ResultRoute {
  readonly dst: string;
  readonly gw?: string;
}

/** What an ADD made, as far as a result tells of it. */
export interface Made {
  /** CIDRs. */
  readonly addresses: readonly string[];
  /** Of the address's family. */
  readonly gateways: readonly string[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns | undefined;
  /** Absent in IPAM-only mode. */
  readonly interface?: Pick<EndpointInfo, 'ifname' | 'mac' | 'mtu'> & { readonly sandbox: string };
}

function gatewayOf(address: string, gateways: readonly string[]): { readonly gateway?: string } {
  const gateway = gateways.find((each) => familyOf(each) === familyOf(address));
  return gateway === undefined ? {} : { gateway };
}

function resultDns({ nameservers, servers, search, searches, domain, options }: Dns): object {
  return {
    ...((servers ?? nameservers) && { nameservers: servers ?? nameservers }),
    ...(domain !== undefined && { domain }),
    ...((searches ?? search) && { search: searches ?? search }),
    ...(options && { options }),
  };
}

/**
 * The result in the shape of a version: addresses say their family before 1.0.0, interfaces their MTU
 * from 1.1.0. What plugins before this one in the chain made stays, and the indices of our addresses
 * count behind their interfaces.
 */
export function shapeResult(
  version: CniVersion,
  made: Made,
  previous: PreviousResult | undefined,
): object {
  const before = previous ?? { interfaces: [], ips: [], routes: [] };
  const { interface: link } = made;
  const own = link && {
    ...{ name: link.ifname, mac: link.mac, sandbox: link.sandbox },
    ...(isSince(version, '1.1.0') && { mtu: link.mtu }),
  };
  const ips = made.addresses.map((address) => ({
    ...(isSince(version, '1.0.0') ? {} : { version: String(familyOf(address)) }),
    address,
    ...gatewayOf(address, made.gateways),
    ...(own && { interface: before.interfaces.length }),
  }));
  const dns = made.dns === undefined ? before.dns : resultDns(made.dns);
  return {
    cniVersion: version,
    ...((own !== undefined || before.interfaces.length > 0) && {
      interfaces: [...before.interfaces, ...(own ? [own] : [])],
    }),
    ips: [...before.ips, ...ips],
    routes: [...before.routes, ...made.routes],
    dns: dns ?? {},
  };
}

/** How an endpoint differs from what a result said when it was made; no sentence if it does not. */
export function compareWithResult(
  endpoint: EndpointInfo,
  addresses: readonly string[],
  { ifname, netns }: { readonly ifname: string; readonly netns: string },
  previous: PreviousResult,
): string[] {
  const index = previous.interfaces.findIndex(
    ({ name, sandbox }) => name === ifname && (sandbox ?? netns) === netns,
  );
  const link = previous.interfaces[index];
  if (link === undefined) return [`prevResult has no interface ${ifname} in ${netns}`];
  const told = previous.ips.filter((ip) => ip.interface === index).map(({ address }) => address);
  const mac = link.mac?.toLowerCase();
  return [
    ...(mac === undefined || mac === endpoint.mac
      ? []
      : [`the MAC is ${endpoint.mac} and not ${mac}`]),
    ...addresses
      .filter((address) => !told.includes(address))
      .map((address) => `prevResult lacks the address ${address}`),
    ...told
      .filter((address) => !addresses.includes(address))
      .map((address) => `the endpoint lacks the address ${address}`),
  ];
}
