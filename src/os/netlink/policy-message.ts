/** Policy rules, and the routes of the table that they lead to, as messages (linux/fib_rules.h, linux/rtnetlink.h). */
import { addressBytes, familyOf, formatAddress, parseCidr, readAddress } from '../../wire/cidr.ts';
import type { PolicyEntry, PolicyRoute, PolicyRule } from '../policy-routing.ts';
import type { Step } from './addon.ts';
import {
  CHANGE,
  FAMILY,
  FLAG,
  MAKE,
  Message,
  ROUTE,
  ROUTE_BYTES,
  TYPE,
  UNICAST,
} from './message.ts';
import { messagesOf, number, type ReplyMessage } from './reply.ts';

const RULE_BYTES = 12;
const RULE = { to: 1, from: 2, priority: 6, table: 15, protocol: 21 } as const;
const TO_TABLE = 1;
/** FIB_RULE_FIND_SADDR, of RFC 6275's home addresses: what has no source yet has that of the route found. */
const FIND_SOURCE = 0x00010000;

/** The mesh port, as other programs name theirs. */
const TABLE = 7783;
/** Before the main table's (32766), and before the rules that lead all there is into a VPN (Tailscale's: 5210 on). */
const PRIORITY = 1783;
/** "W": no other program in iproute2's `rt_protos` has it. */
const PROTOCOL = 87;
const LINK_SCOPE = 253;

const FAMILIES = { 4: FAMILY.inet, 6: FAMILY.inet6 } as const;
const BITS = { 4: 32, 6: 128 } as const;

interface Ends {
  readonly family: 4 | 6;
  readonly prefixLength: number;
  readonly to: Buffer;
  readonly from: Buffer;
}

/** Undefined if the texts are no address and no subnet of one family. */
function endsOf({ from, to }: PolicyEntry): Ends | undefined {
  const [source, subnet] = [parseCidr(`${from}/${BITS[familyOf(from)]}`), parseCidr(to)];
  if (source === undefined || subnet?.address.family !== source.address.family) return undefined;
  return {
    ...{ family: subnet.address.family, prefixLength: subnet.prefixLength },
    to: Buffer.from(addressBytes(subnet.address)),
    from: Buffer.from(addressBytes(source.address)),
  };
}

function ruleMessage({ family, prefixLength, to, from }: Ends): Message {
  const head = Buffer.alloc(RULE_BYTES);
  head.set([FAMILIES[family], prefixLength, BITS[family]]);
  head[7] = TO_TABLE;
  head.writeUInt32LE(family === 6 ? FIND_SOURCE : 0, 8);
  const message = new Message();
  message.append(head);
  message.attribute(RULE.to, to);
  message.attribute(RULE.from, from);
  message.number(RULE.priority, PRIORITY);
  message.number(RULE.table, TABLE);
  message.attribute(RULE.protocol, Buffer.from([PROTOCOL]));
  return message;
}

function routeMessage(device: string, { family, prefixLength, to, from }: Ends): Message {
  const head = Buffer.alloc(ROUTE_BYTES);
  head.set([FAMILIES[family], prefixLength]);
  head.set([0, PROTOCOL, LINK_SCOPE, UNICAST], 4);
  const message = new Message();
  message.append(head);
  message.attribute(ROUTE.destination, to);
  message.attribute(ROUTE.preferredSource, from);
  message.patched(ROUTE.device, 'index', device);
  message.number(ROUTE.table, TABLE);
  return message;
}

/** The message that adds an entry or takes it away; undefined if its texts are no addresses of one family. */
export function encodePolicy(entry: PolicyEntry, isAdded: boolean): Step | undefined {
  const ends = endsOf(entry);
  if (ends === undefined) return undefined;
  const flags = isAdded ? MAKE : CHANGE;
  return entry.kind === 'rule'
    ? ruleMessage(ends).finish(isAdded ? TYPE.newRule : TYPE.delRule, flags)
    : routeMessage(entry.device, ends).finish(isAdded ? TYPE.newRoute : TYPE.delRoute, flags);
}

/** Asks for the rules of a family, or the routes of Weft's table. */
export function encodePolicyDump(kind: PolicyEntry['kind'], family: 4 | 6): Step {
  const isRule = kind === 'rule';
  const head = Buffer.alloc(isRule ? RULE_BYTES : ROUTE_BYTES);
  head[0] = FAMILIES[family];
  const message = new Message();
  message.append(head);
  if (!isRule) message.number(ROUTE.table, TABLE);
  return message.finish(isRule ? TYPE.getRule : TYPE.getRoute, FLAG.request | FLAG.dump);
}

function textOf(bytes: Buffer | undefined, family: 4 | 6): string | undefined {
  if (bytes?.length !== BITS[family] / 8) return undefined;
  return formatAddress(readAddress(bytes, 0, family));
}

function readRule({ head, attributes }: ReplyMessage, family: 4 | 6): PolicyRule | undefined {
  const to = textOf(attributes.get(RULE.to), family);
  const from = textOf(attributes.get(RULE.from), family);
  const isOurs =
    attributes.get(RULE.protocol)?.[0] === PROTOCOL &&
    number(attributes.get(RULE.table)) === TABLE &&
    number(attributes.get(RULE.priority)) === PRIORITY;
  if (!isOurs || to === undefined || from === undefined) return undefined;
  return { kind: 'rule', from, to: `${to}/${head[1] ?? 0}` };
}

function readRoute(
  { head, attributes }: ReplyMessage,
  family: 4 | 6,
  nameOf: (index: number) => string,
): PolicyRoute | undefined {
  const to = textOf(attributes.get(ROUTE.destination), family);
  const from = textOf(attributes.get(ROUTE.preferredSource), family);
  const index = number(attributes.get(ROUTE.device));
  const isOurs = head[5] === PROTOCOL && number(attributes.get(ROUTE.table)) === TABLE;
  if (!isOurs || to === undefined || from === undefined || index === undefined) return undefined;
  return { kind: 'route', from, to: `${to}/${head[1] ?? 0}`, device: nameOf(index) };
}

/** Reads the answer to `encodePolicyDump`; what is not Weft's is left out. `nameOf` names an interface. */
export function readPolicy(
  kind: PolicyEntry['kind'],
  family: 4 | 6,
  reply: Buffer,
  nameOf: (index: number) => string,
): PolicyEntry[] {
  return messagesOf(reply, kind === 'rule' ? RULE_BYTES : ROUTE_BYTES).flatMap((message) => {
    const entry = kind === 'rule' ? readRule(message, family) : readRoute(message, family, nameOf);
    return entry ?? [];
  });
}
