import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import type { Input, RouteName } from './routes.ts';

/*
 * The form of each request: which keys, of which type. Whether a value makes sense (a VNI in range, a
 * subnet without host bits) is the daemon's to judge, with a code of its own for each. Keys that no
 * one knows are refused: a misspelt `mut: 1400` must not quietly become the default MTU.
 */
const text = z.string().min(1).max(4096);
const count = z.number().int().min(0);
const nothing = z.strictObject({});
const ofNetwork = z.strictObject({ network: text });
const foreignVtep = z.strictObject({ network: text, address: text });
const named = z.strictObject({ name: text });

const join = z.strictObject({ targets: z.array(text).min(1).max(64) });

const networkRequest = z.strictObject({
  name: text,
  subnet: text,
  subnet6: text.exactOptional(),
  ipv6: z.boolean().exactOptional(),
  vni: count.exactOptional(),
  mtu: count.exactOptional(),
  encap: z.enum(['vxlan', 'sealed']).exactOptional(),
  ipRange: text.exactOptional(),
  ipRange6: text.exactOptional(),
  edge: z.enum(['routed', 'internal']).exactOptional(),
  isolate: z.boolean().exactOptional(),
  gateway: text.exactOptional(),
  gateway6: text.exactOptional(),
  reserved: z.array(text).max(64).exactOptional(),
  shared: z.boolean().exactOptional(),
});

const portRequest = z.strictObject({
  protocol: z.enum(['tcp', 'udp']),
  hostAddress: text.exactOptional(),
  hostPort: count.max(65_535),
  port: count.min(1).max(65_535),
});
const ports = z.array(portRequest).max(256);

const routes = z.array(z.strictObject({ destination: text, via: text.exactOptional() })).max(64);

const rate = z.strictObject({ rate: count, burst: count });
const bandwidth = z.strictObject({ ingress: rate.exactOptional(), egress: rate.exactOptional() });

const attachRequest = z.strictObject({
  network: text,
  netns: text.exactOptional(),
  pid: count.exactOptional(),
  ifname: text.exactOptional(),
  anyIfname: z.boolean().exactOptional(),
  ip: text.exactOptional(),
  ip6: text.exactOptional(),
  mac: text.exactOptional(),
  defaultRoute: z.boolean().exactOptional(),
  routes: routes.exactOptional(),
  ports: ports.exactOptional(),
  bandwidth: bandwidth.exactOptional(),
  id: z
    .string()
    .regex(/^[0-9a-f]{32}$/, '32 lower-case hex digits')
    .exactOptional(),
  origin: z.string().min(1).max(300).exactOptional(),
  names: z.array(text).max(64).exactOptional(),
});

const renameRequest = z.strictObject({ endpoint: text, names: z.array(text).max(64) });

const detachRequest = z.strictObject({
  endpoint: text.exactOptional(),
  network: text.exactOptional(),
  netns: text.exactOptional(),
  pid: count.exactOptional(),
});

const nameRequest = z.strictObject({ name: text, address: text, network: text.exactOptional() });
const nameRemoval = z.strictObject({
  name: text,
  address: text.exactOptional(),
  network: text.exactOptional(),
});

const forgetRequest = z.strictObject({ host: text, force: z.boolean().exactOptional() });

const INPUTS: { readonly [Name in RouteName]: z.ZodType<Input<Name>> } = {
  status: nothing,
  peers: nothing,
  join,
  joinByToken: z.strictObject({ target: text, token: text }),
  createToken: z.strictObject({
    ttlSeconds: count.exactOptional(),
    uses: count.exactOptional(),
  }),
  listTokens: nothing,
  revokeToken: z.strictObject({ id: text }),
  listKeys: nothing,
  rotateKeys: nothing,
  retireKeys: z.strictObject({ id: text.exactOptional() }),
  listExpelled: nothing,
  expel: z.strictObject({ host: text }),
  takeBack: z.strictObject({ host: text }),
  leave: nothing,
  createNetwork: networkRequest,
  listNetworks: nothing,
  inspectNetwork: named,
  removeNetwork: named,
  endpoints: z.strictObject({ scope: z.enum(['here', 'all']) }),
  attach: attachRequest,
  detach: detachRequest,
  expose: z.strictObject({ network: text, ip: text.exactOptional(), ip6: text.exactOptional() }),
  hide: ofNetwork,
  publish: z.strictObject({ endpoint: text, ports }),
  unpublish: z.strictObject({ endpoint: text, ports: ports.exactOptional() }),
  rename: renameRequest,
  forget: forgetRequest,
  ipamStatus: nothing,
  ipamAudit: nothing,
  ipamPlan: nothing,
  ipamRepair: z.strictObject({ plan: text }),
  addName: nameRequest,
  removeName: nameRemoval,
  listNames: nothing,
  addVtep: foreignVtep,
  removeVtep: foreignVtep,
  listVteps: ofNetwork,
  fdb: ofNetwork,
  links: z.strictObject({ host: text.exactOptional() }),
  events: z.strictObject({
    after: z.int().min(0).exactOptional(),
    waitSeconds: z.number().min(0).max(25).exactOptional(),
  }),
  metrics: nothing,
  version: nothing,
};

/** The names of the keys that a route's input may have, in the order of its schema. */
function keysOf(name: RouteName): readonly string[] {
  const schema: unknown = INPUTS[name];
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

function sentence(name: RouteName, issue: z.core.$ZodIssue): string {
  const known = keysOf(name);
  const takes = known.length === 0 ? 'takes no fields' : `takes ${known.join(', ')}`;
  if (issue.code === 'unrecognized_keys') {
    const plural = issue.keys.length > 1 ? 's' : '';
    const keys = issue.keys.map((key) => `"${key}"`).join(', ');
    return `The request has the unknown field${plural} ${keys}; ${name} ${takes}.`;
  }
  const where = issue.path.length === 0 ? 'The request' : `The field "${issue.path.join('.')}"`;
  return `${where} is wrong (${issue.message.replace(/^Invalid input: /, '')}); ${name} ${takes}.`;
}

/** Checks the form of a request; E_USAGE names the first thing wrong and the fields there are. */
export function parseInput<Name extends RouteName>(name: Name, input: unknown): Input<Name> {
  const schema: z.ZodType<Input<Name>> = INPUTS[name];
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new AppError(
    'E_USAGE',
    issue === undefined ? `The request ${name} is wrong.` : sentence(name, issue),
  );
}
