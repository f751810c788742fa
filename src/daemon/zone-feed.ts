import { bareAddress, canonicalAddress } from '../wire/cidr.ts';
import type { Zone, ZoneEntry } from '../dns/zone.ts';
import { addressesOf } from '../network/endpoint.ts';
import { subnetsOf } from '../network/subnets.ts';
import type { Directory, Rows } from './directory.ts';
import type { EndpointRecord, NameRecord } from './records.ts';
import { endpointKey } from './row-owners.ts';

/** What names are made of. */
export interface NameSources {
  readonly directory: Directory;
  readonly names: Rows<NameRecord>;
}

/** Carries what the tables say into the zone, first all of it and then change by change. */
export function feedZone(zone: Zone, { directory, names }: NameSources, domain: string): void {
  let known: string[] = [];
  const setNetworks = (): void => {
    const networks = directory.networks();
    for (const network of networks) zone.setNetwork(network.name, subnetsOf(network));
    const present = networks.map(({ name }) => name);
    for (const gone of known) if (!present.includes(gone)) zone.setNetwork(gone, undefined);
    known = present;
  };
  setNetworks();
  directory.onNetworks(setNetworks);
  const putEndpoint = (key: string, value: EndpointRecord | undefined): void =>
    zone.put(`endpoint ${key}`, value && endpointEntry(value, domain));
  for (const endpoint of directory.endpoints()) putEndpoint(endpointKey(endpoint), endpoint);
  directory.onEndpoint(({ key, value }) => putEndpoint(key, value));
  follow(names, (key, value) => zone.put(`name ${key}`, value && nameEntry(value)));
}

function follow<T>(rows: Rows<T>, apply: (key: string, value: T | undefined) => void): void {
  for (const { key, value } of rows.entries()) apply(key, value);
  rows.onChange(({ key, value }) => apply(key, value));
}

/** A name that was given with the domain means the same without it. */
function endpointEntry(endpoint: EndpointRecord, domain: string) {
  const { network, host, names = [] } = endpoint;
  const suffix = `.${domain}`;
  const relative = names.map((name) =>
    name.endsWith(suffix) ? name.slice(0, -suffix.length) : name,
  );
  return {
    ...{ network, host, names: [...new Set(relative)] },
    addresses: addressesOf(endpoint).flatMap((each) => canonicalAddress(bareAddress(each)) ?? []),
  } satisfies ZoneEntry;
}

function nameEntry({ network, host, name, address }: NameRecord): ZoneEntry {
  return { network, host, names: [name], addresses: [address] };
}
