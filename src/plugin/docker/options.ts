import type { NetworkEdge } from '../../api/control.ts';
import { AppError } from '../../base/errors.ts';
import { suggestion } from '../../base/nearest.ts';

/** What `docker network create -o` can say to Weft. */
export interface NetworkOptions {
  /** The Weft network to be part of, made if there is none of that name. */
  readonly network?: string;
  readonly vni?: number;
  /** Of the containers' interfaces, in bytes. */
  readonly mtu?: number;
  readonly encap?: 'vxlan' | 'sealed';
  /** Whether containers are kept from each other, as by Docker's own `icc=false`. */
  readonly isolate?: boolean;
  /** `--internal`, or with a way out. */
  readonly edge: NetworkEdge;
}

/** Docker's own name for the MTU, which its CLI and compose files use with every driver. */
const DOCKER_MTU = 'com.docker.network.driver.mtu';
const NETWORK_KEYS = [
  ...['weft.network', 'weft.vni', 'weft.mtu', 'weft.encap', 'weft.isolate'],
  DOCKER_MTU,
];
const IPAM_KEYS = ['weft.network'];
/** Where Docker puts the `-o` of a person among its own options. */
const GENERIC = 'com.docker.network.generic';
/** `--internal`. */
const INTERNAL = 'com.docker.network.internal';
const DOCKERS_OWN = /^com\.docker\./;

function unknown(key: string, what: string, known: readonly string[]): AppError {
  const there = known.length === 0 ? 'Weft has none' : `there are ${known.join(', ')}`;
  return new AppError(
    'E_ENGINE_OPTION',
    `${what} "${key}" is none of Weft's${suggestion(key, known)}; ${there}.`,
  );
}

function textOf(options: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const { [key]: value } = options;
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '') return value;
  throw new AppError(
    'E_ENGINE_OPTION',
    `Option ${key} is ${JSON.stringify(value)}; give it a text that is not empty.`,
  );
}

function numberOf(options: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const text = textOf(options, key);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('E_ENGINE_OPTION', `Option ${key} is "${text}"; give a whole number.`);
}

function switchOf(options: Readonly<Record<string, unknown>>, key: string): boolean | undefined {
  const text = textOf(options, key);
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new AppError('E_ENGINE_OPTION', `Option ${key} is "${text}"; give true or false.`);
}

/** Refuses every option of a person that nobody would heed. */
function checkKeys(
  options: Readonly<Record<string, unknown>>,
  what: string,
  known: readonly string[],
): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key) && !DOCKERS_OWN.test(key)) throw unknown(key, what, known);
  }
}

/** Swarm hands a person's options over as they are, everyone else as one among Docker's own. */
function generic(options: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { [GENERIC]: nested, ...flat } = options;
  return { ...flat, ...(typeof nested === 'object' && nested !== null ? nested : {}) };
}

/** Swarm may write what Docker has as a boolean as a text. */
function edgeOf({ [INTERNAL]: value }: Readonly<Record<string, unknown>>): NetworkEdge {
  return value === undefined || value === false || value === 'false' ? 'routed' : 'internal';
}

/** Reads the options of a network to be made. Rejects with E_ENGINE_OPTION. */
export function readNetworkOptions(all: Readonly<Record<string, unknown>>): NetworkOptions {
  const options = generic(all);
  checkKeys(options, 'Option', NETWORK_KEYS);
  const network = textOf(options, 'weft.network');
  const vni = numberOf(options, 'weft.vni');
  const mtu = numberOf(options, 'weft.mtu') ?? numberOf(options, DOCKER_MTU);
  const isolate = switchOf(options, 'weft.isolate');
  const encap = textOf(options, 'weft.encap');
  if (encap !== undefined && encap !== 'vxlan' && encap !== 'sealed') {
    throw new AppError(
      'E_ENGINE_OPTION',
      `Option weft.encap is "${encap}"; networks can have vxlan and sealed.`,
    );
  }
  return {
    edge: edgeOf(options),
    ...(network === undefined ? {} : { network }),
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(encap === undefined ? {} : { encap }),
    ...(isolate === undefined ? {} : { isolate }),
  };
}

/** Reads `--ipam-opt`: the name of the Weft network, if given. Rejects with E_ENGINE_OPTION. */
export function readIpamOptions(options: Readonly<Record<string, unknown>>): string | undefined {
  checkKeys(options, 'IPAM option', IPAM_KEYS);
  return textOf(options, 'weft.network');
}

/** Of an endpoint Weft has no options: `--driver-opt` is refused. Rejects with E_ENGINE_OPTION. */
export function checkEndpointOptions(options: Readonly<Record<string, unknown>>): void {
  checkKeys(options, 'Endpoint option', []);
}
