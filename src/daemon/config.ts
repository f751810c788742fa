import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { DEFAULT_MESH_PORT, MAX_SOCKET_PATH_BYTES } from '../base/defaults.ts';
import { canonicalDnsName, DNS_NAME_RULE } from '../base/dns-name.ts';
import { AppError, errnoOf } from '../base/errors.ts';
import { parseHostPort, parsePort } from '../base/host-port.ts';
import type { SocketAddress } from '../base/types.ts';
import { suggestion } from '../base/nearest.ts';
import { DNS_PORT } from '../dns/resolv-conf.ts';
import { MAX_UNKNOWN_UNICAST_RATE } from '../dataplane/flood-limit.ts';
import { REKEY_SECONDS } from '../link/session-config.ts';
import { hasHostBits, parseCidr, type Cidr } from '../wire/cidr.ts';
import { LEASE_SECONDS } from '../network/network.ts';
import {
  DATA_PLANES,
  FAST_PATHS,
  GOSSIP_CHOICES,
  DEFAULT_OPTIONS,
  DOCKER_SCOPES,
  DNS_CHOICES,
  LOG_LEVELS,
  MAX_THREADS,
  type DaemonOptions,
  type Listen,
  type MetricsAddress,
} from './options.ts';

/** A year. */
const MAX_ENDPOINT_LEASE_HOURS = 8_760;
const MAX_DNS_TTL_SECONDS = 3600;
const MAX_TRUSTED_SUBNETS = 32;
/** Settings that may have several values. */
const LISTS = new Set(
  Object.entries(DEFAULT_OPTIONS).flatMap(([key, value]) => (Array.isArray(value) ? [key] : [])),
);
/** Settings that a config file may write as numbers. */
const NUMBERS = new Set(
  Object.entries(DEFAULT_OPTIONS).flatMap(([key, value]) =>
    typeof value === 'number' ? [key] : [],
  ),
);

/** A setting's text and where a person finds it: `--listen`, `WEFT_LISTEN`, `"listen" in /etc/weft.json`. */
interface Given {
  readonly text: string;
  readonly where: string;
}

/** A refusal: what was seen and what is allowed, in one sentence. */
function wrong({ text, where }: Given, allowed: string): never {
  throw new AppError('E_CONFIG', `${where} is "${text}"; ${allowed}.`);
}

function readName(given: Given): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(given.text)) return given.text;
  return wrong(given, 'a host name has 1 to 63 letters, digits, dots, dashes or underscores');
}

function readListen(given: Given): Listen {
  const parsed = parseHostPort(given.text);
  if (parsed === undefined || (parsed.host !== '' && isIP(parsed.host) === 0)) {
    return wrong(
      given,
      'write ADDR:PORT, [IPV6]:PORT, :PORT or ADDR, with an IP address of this host',
    );
  }
  const addresses = parsed.host === '' ? DEFAULT_OPTIONS.listen.addresses : [parsed.host];
  return { addresses, port: parsed.port ?? DEFAULT_MESH_PORT };
}

function readAdvertise(given: Given): NonNullable<DaemonOptions['advertise']> {
  const parsed = parseHostPort(given.text);
  const isWildcard = parsed?.host === '0.0.0.0' || parsed?.host === '::';
  if (parsed === undefined || isIP(parsed.host) === 0 || isWildcard || parsed.port === 0) {
    return wrong(
      given,
      'write an IP address that others reach, and perhaps a port: 192.0.2.1:7783',
    );
  }
  return { address: parsed.host, ...(parsed.port === undefined ? {} : { port: parsed.port }) };
}

function readTrustedSubnet(given: Given): Cidr {
  const cidr = parseCidr(given.text);
  const isSubnet = cidr !== undefined && cidr.prefixLength > 0 && !hasHostBits(cidr);
  return isSubnet ? cidr : wrong(given, 'write a subnet without host bits: 10.0.0.0/8, fd00::/8');
}

function readMetrics(given: Given): MetricsAddress {
  const { host, port } = parseHostPort(given.text) ?? {};
  if (host === undefined || host === '' || port === undefined || port === 0) {
    return wrong(given, 'write ADDR:PORT or [IPV6]:PORT, an address of this host and a TCP port');
  }
  return { host, port };
}

function readUdpPort(given: Given): number {
  return parsePort(given.text) ?? wrong(given, 'give a UDP port from 0 (any free one) to 65535');
}

function readCount(low: number, high: number, what: string): (given: Given) => number {
  return (given) => {
    const isWhole = /^\d{1,9}$/.test(given.text);
    const count = Number(given.text);
    return isWhole && count >= low && count <= high
      ? count
      : wrong(given, `give ${what} from ${low} to ${high}`);
  };
}

function readDirectory(given: Given): string {
  return given.text === '' ? wrong(given, 'give a directory') : resolve(given.text);
}

function readFilePath(given: Given): string {
  return given.text === '' ? wrong(given, 'give the path of a file') : resolve(given.text);
}

function readSocket(given: Given): string {
  const path = resolve(given.text);
  const fits = given.text !== '' && Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;
  return fits ? path : wrong(given, `give a path of 1 to ${MAX_SOCKET_PATH_BYTES} bytes`);
}

function oneOf<T extends string>(choices: readonly T[]): (given: Given) => T {
  return (given) =>
    choices.find((choice) => choice === given.text) ?? wrong(given, `choose ${choices.join(', ')}`);
}

function readTarget(given: Given): string {
  const target = parseHostPort(given.text);
  if (target !== undefined && target.host !== '' && target.port !== 0) return given.text;
  return wrong(given, 'write HOST, HOST:PORT or [IPV6]:PORT');
}

function readDomain(given: Given): string {
  return canonicalDnsName(given.text) ?? wrong(given, DNS_NAME_RULE);
}

/** One address of this host or of a name server, and perhaps a port. */
function readDnsAddress(given: Given): SocketAddress {
  const parsed = parseHostPort(given.text);
  const isWildcard = parsed?.host === '0.0.0.0' || parsed?.host === '::';
  if (parsed === undefined || isIP(parsed.host) === 0 || isWildcard || parsed.port === 0) {
    return wrong(given, 'write one IP address, and perhaps a port: 192.0.2.1 or [2001:db8::1]:53');
  }
  return { address: parsed.host, port: parsed.port ?? DNS_PORT };
}

/** How each setting is read from text. A key's environment variable is WEFT_ and the key in capitals. */
const READERS: { readonly [Key in keyof DaemonOptions]-?: (given: Given) => unknown } = {
  name: readName,
  listen: readListen,
  advertise: readAdvertise,
  gossip: oneOf(GOSSIP_CHOICES),
  meshKeyFile: readFilePath,
  vxlanPort: readUdpPort,
  stateDir: readDirectory,
  socket: readSocket,
  dataPlane: oneOf(DATA_PLANES),
  fastPath: oneOf(FAST_PATHS),
  threads: readCount(1, MAX_THREADS, 'a number of threads'),
  unknownUnicastRate: readCount(1, MAX_UNKNOWN_UNICAST_RATE, 'frames a second'),
  join: readTarget,
  ipamLeaseSeconds: readCount(LEASE_SECONDS.min, LEASE_SECONDS.max, 'a number of seconds'),
  ipamEndpointLeaseHours: readCount(1, MAX_ENDPOINT_LEASE_HOURS, 'a number of hours'),
  trustedSubnet: readTrustedSubnet,
  linkRekeySeconds: readCount(REKEY_SECONDS.min, REKEY_SECONDS.max, 'a number of seconds'),
  dockerPlugin: readSocket,
  dockerSocket: readSocket,
  dockerScope: oneOf(DOCKER_SCOPES),
  dns: oneOf(DNS_CHOICES),
  dnsDomain: readDomain,
  dnsListen: readDnsAddress,
  dnsTtl: readCount(0, MAX_DNS_TTL_SECONDS, 'a number of seconds'),
  dnsUpstream: readDnsAddress,
  metrics: readMetrics,
  logLevel: oneOf(LOG_LEVELS),
};

/** The keys of a config file. */
export const CONFIG_KEYS = Object.keys(READERS) as (keyof DaemonOptions)[];

/** `stateDir` as `WEFT_STATE_DIR`. */
export function environmentName(key: string): string {
  return `WEFT_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

const flagName = (key: string): string =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Texts by key, as one source gives them. */
type Layer = Partial<Record<keyof DaemonOptions, readonly Given[]>>;

function environmentLayer(env: Readonly<Record<string, string | undefined>>): Layer {
  const layer: Layer = {};
  for (const key of CONFIG_KEYS) {
    const where = environmentName(key);
    const text = env[where];
    if (text === undefined || text === '') continue;
    const texts = LISTS.has(key) ? text.split(',') : [text];
    layer[key] = texts.map((one) => ({ text: one.trim(), where }));
  }
  return layer;
}

/** A JSON or commander value as texts: a string, a number, or a list of strings. */
function asGiven(key: string, value: unknown, where: string): readonly Given[] {
  const values: readonly unknown[] = LISTS.has(key) && Array.isArray(value) ? value : [value];
  return values.map((one) => {
    if (typeof one === 'string') return { text: one, where };
    if (typeof one === 'number' && NUMBERS.has(key)) return { text: String(one), where };
    return wrong(
      { text: JSON.stringify(one), where },
      `it must be ${NUMBERS.has(key) ? 'a number' : 'a string'}`,
    );
  });
}

function layerOf(values: Readonly<Record<string, unknown>>, where: (key: string) => string): Layer {
  const layer: Layer = {};
  for (const [key, value] of Object.entries(values)) {
    const known = CONFIG_KEYS.find((candidate) => candidate === key);
    if (known === undefined) {
      throw new AppError(
        'E_CONFIG',
        `${where(key)} is no setting${suggestion(key, CONFIG_KEYS)}; there are ${CONFIG_KEYS.join(', ')}.`,
      );
    }
    layer[known] = asGiven(key, value, where(key));
  }
  return layer;
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const why = errnoOf(cause) ?? String(cause);
    throw new AppError(
      'E_CONFIG',
      `The config file ${file} can't be read (${why}); check --config.`,
      { cause },
    );
  }
}

async function fileLayer(file: string): Promise<Layer> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\s+/g, ' ') : String(cause);
    throw new AppError(
      'E_CONFIG',
      `The config file ${file} is not JSON (${why}); it takes one object and no comments.`,
      { cause },
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError(
      'E_CONFIG',
      `The config file ${file} holds no JSON object; write {"listen": ":7783"} and the like.`,
    );
  }
  return layerOf(value as Record<string, unknown>, (key) => `"${key}" in ${file}`);
}

export interface OptionSources {
  /** Path of the JSON config file; without it WEFT_CONFIG's, without that none. */
  readonly config?: string | undefined;
  /** Flags by option key, as commander gives them; all known, values as typed by the person. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Defaults, overridden by the config file, by WEFT_* variables, by flags; each whole key at a time, so
 * that `--join` replaces the file's list. E_CONFIG names the setting, its source, what it was and what it may be.
 */
export async function loadOptions({ config, flags, env }: OptionSources): Promise<DaemonOptions> {
  const file = config ?? env['WEFT_CONFIG'];
  const given: Layer = {
    ...(file === undefined || file === '' ? {} : await fileLayer(file)),
    ...environmentLayer(env),
    ...layerOf(flags, flagName),
  };
  const read: Record<string, unknown> = {};
  for (const key of CONFIG_KEYS) {
    const values = given[key]?.map((one) => READERS[key](one));
    if (values !== undefined) read[key] = LISTS.has(key) ? values : values[0];
  }
  if (read['name'] === undefined) {
    read['name'] = readName({ text: hostname(), where: "This machine's host name" });
  }
  const options = { ...DEFAULT_OPTIONS, ...read } as DaemonOptions;
  checkTrust(options, given);
  return options;
}

/** In an open mesh nothing tells who is at an address. */
function checkTrust({ gossip, trustedSubnet }: DaemonOptions, given: Layer): void {
  const [first] = given.trustedSubnet ?? [];
  if (first === undefined) return;
  if (gossip === 'open') wrong(first, 'it takes a sealed mesh: leave it out, or --gossip open');
  if (trustedSubnet.length > MAX_TRUSTED_SUBNETS) {
    wrong(first, `there may be ${MAX_TRUSTED_SUBNETS} of it, and here are ${trustedSubnet.length}`);
  }
}
