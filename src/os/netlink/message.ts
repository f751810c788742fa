/**
 * Messages of rtnetlink(7), in the byte order of every machine that Weft runs on: little-endian.
 *
 *   nlmsghdr    | length 32 | type 16 | flags 16 | sequence 32 | port 32 |
 *   ifinfomsg   | family 8 | pad 8 | type 16 | index 32 | flags 32 | change 32 |
 *   ifaddrmsg   | family 8 | prefix 8 | flags 8 | scope 8 | index 32 |
 *   rtmsg       | family 8 | prefix 8 | source 8 | tos 8 | table 8 | protocol 8 | scope 8 | type 8 | flags 32 |
 *   fib_rule_hdr| family 8 | prefix 8 | source 8 | tos 8 | table 8 | 16 unused   | action 8         | flags 32 |
 *   attribute   | length 16 | type 16 | value, padded to 4 bytes |       the length without padding
 */
import { addressBytes, parseAddress, parseCidr } from '../../wire/cidr.ts';
import { MAC_BYTES, parseMac, writeMac } from '../../wire/mac.ts';
import type { IpCommand, LinkSettings } from '../ip-command.ts';
import type { Patch, Step } from './addon.ts';

export const HEADER_BYTES = 16;
export const LINK_BYTES = 16;
export const ADDRESS_BYTES = 8;
export const ATTRIBUTE_BYTES = 4;
export const ROUTE_BYTES = 12;

/** linux/rtnetlink.h */
export const TYPE = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newRule: 32,
  delRule: 33,
  getRule: 34,
} as const;

export const FLAG = {
  ...{ request: 1, ack: 4, dump: 0x300, replace: 0x100, exclusive: 0x200, create: 0x400 },
} as const;

/** linux/if_link.h, linux/veth.h, linux/if_addr.h */
export const LINK = {
  ...{ address: 1, name: 3, mtu: 4, link: 5, master: 10, info: 18, alias: 20, netnsFd: 28 },
  netnsId: 37,
} as const;
export const INFO = { kind: 1, data: 2, portKind: 4, portData: 5 } as const;
export const BRIDGE = { stp: 5, multicastSnooping: 23 } as const;
export const BRIDGE_PORT = { isolated: 33 } as const;
export const ADDRESS = { address: 1, local: 2, flags: 8 } as const;
/** linux/rtnetlink.h: rtattr_type_t, and what ip(8) gives a route by a gateway. */
export const ROUTE = {
  ...{ destination: 1, device: 4, gateway: 5, metric: 6, preferredSource: 7, table: 15 },
} as const;
const MAIN_TABLE = 254;
const BOOT_PROTOCOL = 3;
export const UNICAST = 1;
const VETH_PEER = 1;

export const FAMILY = { any: 0, inet: 2, inet6: 10 } as const;
export const IFF_UP = 1;
const NO_DUPLICATE_DETECTION = 0x02;
const NO_PREFIX_ROUTE = 0x200;

/** A message as it grows. */
export class Message {
  readonly #parts: Buffer[] = [];
  readonly #patches: Patch[] = [];
  #length = 0;

  append(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  attribute(type: number, value: Buffer): void {
    const head = Buffer.alloc(ATTRIBUTE_BYTES);
    head.writeUInt16LE(ATTRIBUTE_BYTES + value.length, 0);
    head.writeUInt16LE(type, 2);
    this.append(head);
    this.append(value);
    this.append(Buffer.alloc(-value.length & 3));
  }

  number(type: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.attribute(type, bytes);
  }

  text(type: number, value: string): void {
    this.attribute(type, Buffer.from(`${value}\0`));
  }

  mac(type: number, text: string): void {
    const bytes = Buffer.alloc(MAC_BYTES);
    const mac = parseMac(text);
    if (mac !== undefined) writeMac(bytes, 0, mac);
    this.attribute(type, bytes);
  }

  /** A number that is known only where the message is sent. */
  patched(type: number, kind: Patch['kind'], text: string): void {
    this.#patches.push({ kind, text, at: this.#length + ATTRIBUTE_BYTES });
    this.number(type, 0);
  }

  /** Of the last eight bytes of an address's head. */
  patchIndex(name: string): void {
    this.#patches.push({ kind: 'index', text: name, at: this.#length - 4 });
  }

  /** An attribute that holds what `fill` appends. */
  nest(type: number, fill: () => void): void {
    const head = Buffer.alloc(ATTRIBUTE_BYTES);
    const begin = this.#length;
    this.append(head);
    fill();
    head.writeUInt16LE(this.#length - begin, 0);
    head.writeUInt16LE(type, 2);
  }

  finish(type: number, flags: number): Step {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(HEADER_BYTES + this.#length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(flags, 6);
    return {
      message: Buffer.concat([header, ...this.#parts]),
      patches: this.#patches.map((patch) => ({ ...patch, at: patch.at + HEADER_BYTES })),
    };
  }
}

function linkHead(isUp = false): Buffer {
  const head = Buffer.alloc(LINK_BYTES);
  head.writeUInt32LE(isUp ? IFF_UP : 0, 8);
  head.writeUInt32LE(isUp ? IFF_UP : 0, 12);
  return head;
}

/** A message about the link of that name. */
function linkMessage(name: string, isUp = false): Message {
  const message = new Message();
  message.append(linkHead(isUp));
  message.text(LINK.name, name);
  return message;
}

/** As `ipWords` has a bridge: no STP, no multicast snooping. */
function bridgeInfo(message: Message): void {
  message.nest(LINK.info, () => {
    message.attribute(INFO.kind, Buffer.from('bridge'));
    message.nest(INFO.data, () => {
      message.number(BRIDGE.stp, 0);
      message.attribute(BRIDGE.multicastSnooping, Buffer.from([0]));
    });
  });
}

function addVeth({ name, mtu, peer }: Extract<IpCommand, { kind: 'addVeth' }>): Message {
  const message = linkMessage(name);
  message.number(LINK.mtu, mtu);
  message.nest(LINK.info, () => {
    message.attribute(INFO.kind, Buffer.from('veth'));
    message.nest(INFO.data, () => {
      message.nest(VETH_PEER, () => {
        message.append(linkHead());
        message.text(LINK.name, peer.name);
        message.mac(LINK.address, peer.mac);
        message.number(LINK.mtu, peer.mtu);
        if (peer.namespace !== undefined) message.patched(LINK.netnsFd, 'fd', peer.namespace);
      });
    });
  });
  return message;
}

const KNOWN_SETTINGS = ['kind', 'name', 'master', 'mtu', 'mac', 'alias', 'up'];

function setLink({
  name,
  master,
  mtu,
  mac,
  alias,
  up,
}: { readonly name: string } & LinkSettings): Message {
  const message = linkMessage(name, up);
  if (master !== undefined) message.patched(LINK.master, 'index', master);
  if (mtu !== undefined) message.number(LINK.mtu, mtu);
  if (mac !== undefined) message.mac(LINK.address, mac);
  if (alias !== undefined) message.attribute(LINK.alias, Buffer.from(alias));
  return message;
}

function setPort({ name, isolated }: Extract<IpCommand, { kind: 'setPort' }>): Message {
  const message = linkMessage(name);
  message.nest(LINK.info, () => {
    message.attribute(INFO.portKind, Buffer.from('bridge'));
    message.nest(INFO.portData, () => {
      message.attribute(BRIDGE_PORT.isolated, Buffer.from([Number(isolated)]));
    });
  });
  return message;
}

/** Undefined if the address is none. */
function addressMessage({
  name,
  address: text,
  isRouteless = false,
}: Omit<Extract<IpCommand, { kind: 'addAddress' }>, 'kind'>): Message | undefined {
  const cidr = parseCidr(text);
  if (cidr === undefined) return undefined;
  const { address, prefixLength } = cidr;
  const head = Buffer.alloc(ADDRESS_BYTES);
  head[0] = address.family === 4 ? FAMILY.inet : FAMILY.inet6;
  head[1] = prefixLength;
  const flags = address.family === 6 ? NO_DUPLICATE_DETECTION : 0;
  head[2] = flags;
  const message = new Message();
  message.append(head);
  message.patchIndex(name);
  const bytes = Buffer.from(addressBytes(address));
  message.attribute(ADDRESS.local, bytes);
  message.attribute(ADDRESS.address, bytes);
  // They don't fit into the head, whose flags do not count then.
  if (isRouteless) message.number(ADDRESS.flags, flags | NO_PREFIX_ROUTE);
  return message;
}

/** Undefined if destination or gateway is none. */
function routeMessage({
  name,
  destination,
  via,
  metric,
}: Extract<IpCommand, { kind: 'setRoute' }>): Message | undefined {
  const gateway = parseAddress(via);
  if (gateway === undefined) return undefined;
  const cidr = destination === 'default' ? undefined : parseCidr(destination);
  if (cidr === undefined && destination !== 'default') return undefined;
  const head = Buffer.alloc(ROUTE_BYTES);
  head[0] = gateway.family === 4 ? FAMILY.inet : FAMILY.inet6;
  head[1] = cidr?.prefixLength ?? 0;
  head.set([MAIN_TABLE, BOOT_PROTOCOL, 0, UNICAST], 4);
  const message = new Message();
  message.append(head);
  if (cidr !== undefined) {
    message.attribute(ROUTE.destination, Buffer.from(addressBytes(cidr.address)));
  }
  message.attribute(ROUTE.gateway, Buffer.from(addressBytes(gateway)));
  message.patched(ROUTE.device, 'index', name);
  message.number(ROUTE.metric, metric);
  return message;
}

export const CHANGE = FLAG.request | FLAG.ack;
export const MAKE = CHANGE | FLAG.create | FLAG.exclusive;
const PUT = CHANGE | FLAG.create | FLAG.replace;

/** The message for a command; undefined for one, or a setting, that only ip(8) knows. */
export function encodeCommand(command: IpCommand): Step | undefined {
  switch (command.kind) {
    case 'addBridge': {
      const message = linkMessage(command.name);
      message.mac(LINK.address, command.mac);
      bridgeInfo(message);
      return message.finish(TYPE.newLink, MAKE);
    }
    case 'setBridge': {
      const message = linkMessage(command.name);
      bridgeInfo(message);
      return message.finish(TYPE.newLink, CHANGE);
    }
    case 'addVeth':
      return addVeth(command).finish(TYPE.newLink, MAKE);
    case 'addIfb': {
      const message = linkMessage(command.name);
      message.nest(LINK.info, () => message.attribute(INFO.kind, Buffer.from('ifb')));
      return message.finish(TYPE.newLink, MAKE);
    }
    case 'setLink':
      return Object.keys(command).every((key) => KNOWN_SETTINGS.includes(key))
        ? setLink(command).finish(TYPE.newLink, CHANGE)
        : undefined;
    case 'setPort':
      return setPort(command).finish(TYPE.newLink, CHANGE);
    case 'deleteLink':
      return { ...linkMessage(command.name).finish(TYPE.delLink, CHANGE), removes: command.name };
    case 'addAddress':
      return addressMessage(command)?.finish(TYPE.newAddress, MAKE);
    case 'deleteAddress':
      return addressMessage(command)?.finish(TYPE.delAddress, CHANGE);
    case 'setRoute':
      return routeMessage(command)?.finish(TYPE.newRoute, PUT);
  }
}

/** Asks for all links, or all addresses. */
export function encodeDump(what: 'links' | 'addresses'): Step {
  const message = new Message();
  message.append(Buffer.alloc(what === 'links' ? LINK_BYTES : ADDRESS_BYTES));
  return message.finish(
    what === 'links' ? TYPE.getLink : TYPE.getAddress,
    FLAG.request | FLAG.dump,
  );
}
