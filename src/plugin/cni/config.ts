import { z } from 'zod';
import type { Call } from './call.ts';
import { CniError, CODE } from './error.ts';
import { checkVersion, type CniVersion } from './version.ts';

/*
 * A network's config as a runtime hands it over: what its writer wrote, `prevResult` of the plugin before
 * this one, and in `runtimeConfig` what the runtime knows of this container. Keys that mean nothing here
 * are other plugins' or newer runtimes', and passed over, as the specification asks.
 */
const text = z.string().min(1).max(4096);
const count = z.number().int().min(0);
const texts = z.array(text).max(64);

/** The specification's `dns`, in configs, results and the capability of that name. */
const dns = z.object({
  nameservers: texts.exactOptional(),
  domain: z.string().exactOptional(),
  search: texts.exactOptional(),
  options: texts.exactOptional(),
  /** As the capability spells two of them. */
  servers: texts.exactOptional(),
  searches: texts.exactOptional(),
});

/** Loose: what a route names besides is refused, and not passed over. */
const route = z.looseObject({ dst: text, gw: text.exactOptional() });

const result = z.looseObject({
  interfaces: z
    .array(
      z.looseObject({
        name: z.string(),
        mac: z.string().exactOptional(),
        sandbox: z.string().exactOptional(),
      }),
    )
    .default([]),
  ips: z
    .array(z.looseObject({ address: z.string(), interface: z.number().int().exactOptional() }))
    .default([]),
  routes: z.array(z.looseObject({ dst: z.string() })).default([]),
  dns: z.looseObject({}).exactOptional(),
});

/** containerd spells the keys of a port mapping with capitals. */
const portMapping = z.preprocess(
  (value) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value).map(([key, each]) => [
            key.charAt(0).toLowerCase() + key.slice(1),
            each as unknown,
          ]),
        )
      : value,
  z.object({
    hostPort: z.number().int().min(0).max(65535),
    containerPort: z.number().int().min(1).max(65535),
    protocol: z.string().default('tcp'),
    hostIP: z.string().default(''),
  }),
);

const bandwidth = z.object({
  ingressRate: count.default(0),
  ingressBurst: count.default(0),
  egressRate: count.default(0),
  egressBurst: count.default(0),
});

const runtimeConfig = z.object({
  ips: texts.default([]),
  mac: text.exactOptional(),
  portMappings: z.array(portMapping).max(1024).default([]),
  bandwidth: bandwidth.exactOptional(),
  dns: dns.exactOptional(),
  /** The convention's list; or, as podman sends it, a list for each network. */
  aliases: z.union([texts, z.record(z.string(), texts)]).default([]),
  ipRanges: z.array(z.unknown()).default([]),
  infinibandGUID: z.string().default(''),
  deviceID: z.string().default(''),
});

const config = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'it must begin with a letter or digit'),
  type: text,
  /** Weft's network; by default the config's name. */
  network: text.exactOptional(),
  /** With it, ADD makes a network that is not there. */
  subnet: text.exactOptional(),
  /** Beside an IPv4 subnet; or with "ipv6", one that is made up. */
  subnet6: text.exactOptional(),
  ipv6: z.boolean().exactOptional(),
  ipRange: text.exactOptional(),
  ipRange6: text.exactOptional(),
  edge: z.enum(['routed', 'internal']).exactOptional(),
  gateway: text.exactOptional(),
  gateway6: text.exactOptional(),
  mtu: count.exactOptional(),
  vni: count.exactOptional(),
  ipam: z
    .object({
      type: text.exactOptional(),
      network: text.exactOptional(),
      subnet: text.exactOptional(),
      routes: z.array(route).max(64).default([]),
    })
    .exactOptional(),
  dns: dns.exactOptional(),
  bandwidth: bandwidth.exactOptional(),
  runtimeConfig: runtimeConfig.default({
    ...{ ips: [], portMappings: [], aliases: [], ipRanges: [], infinibandGUID: '', deviceID: '' },
  }),
  args: z.object({ cni: z.object({ ips: texts.exactOptional() }).exactOptional() }).exactOptional(),
  prevResult: result.exactOptional(),
});

/** What DEL, GC and STATUS need: however odd the rest is, a container must be removable. */
const identity = z.object({
  name: config.shape.name,
  type: text,
  network: config.shape.network,
  subnet: config.shape.subnet,
  ipam: z
    .object({
      type: text.exactOptional(),
      network: text.exactOptional(),
      subnet: text.exactOptional(),
    })
    .exactOptional(),
  'cni.dev/valid-attachments': z
    .array(z.object({ containerID: z.string(), ifname: z.string() }))
    .exactOptional(),
});

/** Another plugin's config, of which only what is in `ipam` is Weft's to read. */
const ipamConfig = z.object({
  name: config.shape.name,
  type: text,
  ipam: z.object({
    type: text,
    network: text.exactOptional(),
    subnet: text.exactOptional(),
    subnet6: config.shape.subnet6,
    ipv6: config.shape.ipv6,
    ipRange: text.exactOptional(),
    ipRange6: config.shape.ipRange6,
    gateway: text.exactOptional(),
    gateway6: config.shape.gateway6,
    routes: z.array(route).max(64).default([]),
  }),
  runtimeConfig: z.object({ ips: texts.default([]) }).default({ ips: [] }),
  args: config.shape.args,
  prevResult: result.exactOptional(),
});

/** The name that a config gives as the `type` of its `ipam`. */
export const IPAM_PLUGIN = 'weft-ipam';

export type RouteConfig = z.infer<typeof route>;
export type IpamConfig = z.infer<typeof ipamConfig> & { readonly cniVersion: CniVersion };
export type Config = z.infer<typeof config> & { readonly cniVersion: CniVersion };
export type Identity = z.infer<typeof identity> & { readonly cniVersion: CniVersion };
export type Dns = z.infer<typeof dns>;
export type PortMapping = z.infer<typeof portMapping>;
export type PreviousResult = z.infer<typeof result>;

function decode(stdin: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(stdin);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CniError(CODE.decode, `The config on standard input is no JSON (${why}).`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new CniError(CODE.decode, 'The config on standard input is no JSON object.');
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.length ? `The config's "${issue.path.join('.')}"` : 'The config';
  const why = issue?.message.replace(/^Invalid input: /, '') ?? 'it has another form';
  throw new CniError(CODE.invalidConfig, `${where} is wrong (${why}).`);
}

/** Rejects with codes 6, 1 and 7. */
export function readConfig({ stdin, command }: Call): Config {
  const value = decode(stdin);
  const cniVersion = checkVersion(value['cniVersion'], command);
  return { ...parse(config, value), cniVersion };
}

/** As `readConfig`, of another plugin's config. */
export function readIpamConfig({ stdin, command }: Call): IpamConfig {
  const value = decode(stdin);
  const cniVersion = checkVersion(value['cniVersion'], command);
  return { ...parse(ipamConfig, value), cniVersion };
}

/** As `readConfig`, of a config of which no more is needed. */
export function readIdentity({ stdin, command }: Call): Identity {
  const value = decode(stdin);
  const cniVersion = checkVersion(value['cniVersion'], command);
  return { ...parse(identity, value), cniVersion };
}

/** The version that an answer to this input names, if it can be told. */
export function versionOf(stdin: string): unknown {
  try {
    return (JSON.parse(stdin) as { cniVersion?: unknown } | null)?.cniVersion;
  } catch {
    return undefined;
  }
}

/** How begins what says whose the endpoints and addresses of a config are; a container's id follows. */
export const originOf = ({ name }: Pick<Identity, 'name'>): string => `cni ${name} `;

/** Weft's network that a config means. */
export function networkOf({
  name,
  network,
  ipam,
}: Pick<Config, 'name' | 'network'> & {
  readonly ipam?: { readonly network?: string | undefined } | undefined;
}): string {
  return network ?? ipam?.network ?? name;
}

/** Whether the program is called by another plugin to give addresses, and does nothing else. */
export function isIpamOnly(
  { plugin }: Call,
  {
    type,
    ipam,
  }: Pick<Config, 'type'> & {
    readonly ipam?: { readonly type?: string | undefined } | undefined;
  },
): boolean {
  return ipam?.type === plugin && type !== plugin;
}
