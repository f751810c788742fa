import { canonicalAddress } from '../wire/cidr.ts';
import type { Zone, ZoneEntry } from '../dns/zone.ts';
import type { Rows } from './directory.ts';
import type { EndpointRecord, NameRecord, NetworkRecord } from './records.ts';

/** The tables that names are made of. */
export interface NameTables {
  readonly endpoints: Rows<EndpointRecord>;
  readonly networks: Rows<NetworkRecord>;
  readonly names: Rows<NameRecord>;
}

/** Carries what the tables say into the zone, first all of it and then change by change. */
export function feedZone(zone: Zone, tables: NameTables, domain: string): void {
  follow(tables.networks, (key, value) => zone.setNetwork(key, value && [value.subnet]));
  follow(tables.endpoints, (key, value) => {
    zone.put(`endpoint ${key}`, value && endpointEntry(value, domain));
  });
  follow(tables.names, (key, value) => zone.put(`name ${key}`, value && nameEntry(value)));
}

function follow<T>(rows: Rows<T>, apply: (key: string, value: T | undefined) => void): void {
  for (const { key, value } of rows.entries()) apply(key, value);
  rows.onChange(({ key, value }) => apply(key, value));
}

/** A name that was given with the domain means the same without it. */
function endpointEntry({ network, host, names = [], address }: EndpointRecord, domain: string) {
  const suffix = `.${domain}`;
  const relative = names.map((name) =>
    name.endsWith(suffix) ? name.slice(0, -suffix.length) : name,
  );
  return {
    ...{ network, host, names: [...new Set(relative)] },
    addresses: [canonicalAddress(address.split('/')[0] ?? '')].filter((each) => each !== undefined),
  } satisfies ZoneEntry;
}

function nameEntry({ network, host, name, address }: NameRecord): ZoneEntry {
  return { network, host, names: [name], addresses: [address] };
}
