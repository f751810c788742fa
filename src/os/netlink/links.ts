import { formatAddress, readAddress } from '../../wire/cidr.ts';
import type { Link, LinkAddress } from '../ip-json.ts';
import {
  ADDRESS,
  ADDRESS_BYTES,
  BRIDGE,
  BRIDGE_PORT,
  FAMILY,
  IFF_UP,
  INFO,
  LINK,
  LINK_BYTES,
  TYPE,
} from './message.ts';
import {
  attributesOf,
  messagesOf,
  number,
  text,
  type Attributes,
  type ReplyMessage,
} from './reply.ts';

/** ARPHRD_LOOPBACK of linux/if_arp.h. */
const LOOPBACK = 772;
const SCOPES: ReadonlyMap<number, string> = new Map([
  [0, 'global'],
  [200, 'site'],
  [253, 'link'],
  [254, 'host'],
  [255, 'nowhere'],
]);

function macOf(value: Buffer | undefined): string {
  return value === undefined ? '' : value.toString('hex').replace(/..(?!$)/g, '$&:');
}

function bridgeOf(kind: string, data: Buffer | undefined): Link['bridge'] {
  if (kind !== 'bridge' || data === undefined) return undefined;
  const settings = attributesOf(data);
  return {
    stp: number(settings.get(BRIDGE.stp)) !== 0,
    multicastSnooping: settings.get(BRIDGE.multicastSnooping)?.[0] !== 0,
  };
}

function isIsolated(info: Attributes): boolean {
  if (text(info.get(INFO.portKind)) !== 'bridge') return false;
  const port = attributesOf(info.get(INFO.portData) ?? Buffer.alloc(0));
  return port.get(BRIDGE_PORT.isolated)?.[0] === 1;
}

function readLink(
  { head, attributes }: ReplyMessage,
  nameOf: (index: number) => string | undefined,
  addresses: readonly LinkAddress[],
): Link {
  const info = attributesOf(attributes.get(LINK.info) ?? Buffer.alloc(0));
  const kind = text(info.get(INFO.kind)) || (head.readUInt16LE(2) === LOOPBACK ? 'loopback' : '');
  const masterIndex = number(attributes.get(LINK.master));
  const master = masterIndex === undefined ? undefined : nameOf(masterIndex);
  // Of other links than pairs only one in another namespace is told by its index, as ip(8) has it.
  const isTold = kind === 'veth' || attributes.has(LINK.netnsId);
  const peerIndex = isTold ? number(attributes.get(LINK.link)) : undefined;
  const bridge = bridgeOf(kind, info.get(INFO.data));
  return {
    ...{ index: head.readInt32LE(4), name: text(attributes.get(LINK.name)), kind },
    ...{ mac: macOf(attributes.get(LINK.address)), mtu: number(attributes.get(LINK.mtu)) ?? 0 },
    isUp: (head.readUInt32LE(8) & IFF_UP) !== 0,
    ...(master !== undefined && { master }),
    ...(isIsolated(info) && { isIsolated: true }),
    ...(peerIndex !== undefined && { peerIndex }),
    ...(attributes.has(LINK.alias) && { alias: text(attributes.get(LINK.alias)) }),
    ...(bridge && { bridge }),
    addresses,
  };
}

function readLinkAddress({ head, attributes }: ReplyMessage): LinkAddress | undefined {
  const family = head[0] === FAMILY.inet ? 4 : head[0] === FAMILY.inet6 ? 6 : undefined;
  const bytes = attributes.get(ADDRESS.local) ?? attributes.get(ADDRESS.address);
  if (family === undefined || bytes?.length !== (family === 4 ? 4 : 16)) return undefined;
  return {
    address: formatAddress(readAddress(bytes, 0, family)),
    prefixLength: head[1] ?? 0,
    scope: SCOPES.get(head[3] ?? 0) ?? String(head[3]),
  };
}

/** Reads the answer to `encodeDump` of addresses: by the index of the link that has them. */
export function readAddresses(addresses: Buffer): ReadonlyMap<number, readonly LinkAddress[]> {
  const byIndex = new Map<number, LinkAddress[]>();
  for (const message of messagesOf(addresses, ADDRESS_BYTES)) {
    const address = message.type === TYPE.newAddress ? readLinkAddress(message) : undefined;
    if (address === undefined) continue;
    const index = message.head.readUInt32LE(4);
    byIndex.set(index, [...(byIndex.get(index) ?? []), address]);
  }
  return byIndex;
}

/** Reads the answers to `encodeDump`: of links and of addresses. */
export function readLinks(links: Buffer, addresses: Buffer): Link[] {
  const byIndex = readAddresses(addresses);
  const found = messagesOf(links, LINK_BYTES).filter(({ type }) => type === TYPE.newLink);
  const names = new Map(
    found.map(({ head, attributes }) => [head.readInt32LE(4), text(attributes.get(LINK.name))]),
  );
  return found.map((message) =>
    readLink(message, (index) => names.get(index), byIndex.get(message.head.readInt32LE(4)) ?? []),
  );
}
