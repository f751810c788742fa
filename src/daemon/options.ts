import { DEFAULT_MESH_PORT, DEFAULT_SOCKET, DEFAULT_VXLAN_PORT } from '../base/defaults.ts';
import type { Scope } from '../plugin/docker/driver.ts';
import type { SocketAddress } from '../base/types.ts';
import type { Cidr } from '../wire/cidr.ts';
import { REKEY_SECONDS } from '../link/session-config.ts';
import { DEFAULT_UNKNOWN_UNICAST_RATE } from '../dataplane/flood-limit.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const DATA_PLANES = ['auto', 'native', 'portable'] as const;
/** As native/core/gate.hpp has it. */
export const MAX_THREADS = 8;

export const DOCKER_SCOPES = ['local', 'global'] as const satisfies readonly Scope[];

export type DataPlaneChoice = (typeof DATA_PLANES)[number];

export const GOSSIP_CHOICES = ['sealed', 'open'] as const;
export type GossipChoice = (typeof GOSSIP_CHOICES)[number];

export const FAST_PATHS = ['auto', 'off'] as const;
export type FastPathChoice = (typeof FAST_PATHS)[number];

export const DNS_CHOICES = ['on', 'off'] as const;
export type DnsChoice = (typeof DNS_CHOICES)[number];

/** Addresses to bind and the one mesh port, UDP and TCP. */
export interface Listen {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Where metrics are served: an address of this host or a name for one, and a TCP port that is not 0. */
export interface MetricsAddress {
  readonly host: string;
  readonly port: number;
}

/** All that a daemon is told before it starts. Checked: whoever holds one need not check again. */
export interface DaemonOptions {
  /** This host's name in the mesh: 1 to 63 letters, digits, `.`, `_` or `-`. Default: the host name. */
  readonly name: string;
  /** Default: every IPv4 and IPv6 address, port 7783. Port 0 picks a free one. */
  readonly listen: Listen;
  /** What other hosts are told to send to, if not an address found out; no port: the mesh port. */
  readonly advertise?: { readonly address: string; readonly port?: number };
  /**
   * Absolute path of a file with the first key of the mesh, 32 bytes in Base64: hosts that are given the same
   * one are of one mesh from the start. Default: none, the host makes a key, and takes others by a token.
   */
  readonly meshKeyFile?: string;
  /** Whether what hosts tell each other is sealed with the mesh's keys; the same on every host. Default `sealed`. */
  readonly gossip: GossipChoice;
  /** UDP port of plain VXLAN, 0 to 65535; 0 picks a free one. Default 4789. */
  readonly vxlanPort: number;
  /** Absolute path of the directory with the daemon's memory. Default /var/lib/weft. */
  readonly stateDir: string;
  /** Absolute path of the control socket, at most 107 bytes. Default /run/weft/weft.sock. */
  readonly socket: string;
  /** Default `auto`: native where it can run. */
  readonly dataPlane: DataPlaneChoice;
  /** Whether plain VXLAN may be forwarded in the kernel where it can. Default `auto`. */
  readonly fastPath: FastPathChoice;
  /** Threads of the native data plane, 1 to 8. Default 1. */
  readonly threads: number;
  /** Frames a second to unknown MACs that each network floods, 1 to 10,000,000. Default 1000. */
  readonly unknownUnicastRate: number;
  /** Hosts to join at start, `HOST[:PORT]`; tried again until one answers. Default none. */
  readonly join: readonly string[];
  /**
   * Seconds that a host may give out addresses of a network made here without hearing from most of the
   * hosts that vote on it; as long must it be away before its free addresses go to others. 2 to 86400.
   * Short: lost hosts' space returns sooner, and more messages (one in each third of it). Default 300.
   */
  readonly ipamLeaseSeconds: number;
  /** Hours that a host's endpoints keep their addresses while it is away. 1 to 8760. Default 24. */
  readonly ipamEndpointLeaseHours: number;
  /**
   * Subnets on which frames of sealed networks may go in the clear, to hosts that trust this one's address
   * likewise. No host bits, not every address; at most 32. Default none: all frames are sealed.
   */
  readonly trustedSubnet: readonly Cidr[];
  /** Seconds after which a sealed link changes its keys. 10 to 120. Default 120. */
  readonly linkRekeySeconds: number;
  /**
   * Absolute path of the socket that Docker calls, at most 107 bytes; Docker looks for
   * /run/docker/plugins/weft.sock. Default: none, Docker is not served.
   */
  readonly dockerPlugin?: string;
  /**
   * Absolute path of the socket of Docker's own API, at most 107 bytes, where Weft reads the names of
   * containers if it serves Docker. Default /var/run/docker.sock.
   */
  readonly dockerSocket: string;
  /** Whether Docker's networks are of one engine, or of its cluster. Default `local`. */
  readonly dockerScope: Scope;
  /** Whether this host answers questions for names. Default `on`. */
  readonly dns: DnsChoice;
  /** What all names end in, in lower case without dots at its ends; the same on every host. Default `weft.local`. */
  readonly dnsDomain: string;
  /** Where names are answered beside the bridges' own addresses. Default nowhere. */
  readonly dnsListen: readonly SocketAddress[];
  /** Seconds that answers may be kept, 0 to 3600. Default 1. */
  readonly dnsTtl: number;
  /** Who is asked for all other names; none: the name servers of /etc/resolv.conf. Default none. */
  readonly dnsUpstream: readonly SocketAddress[];
  /** Where Prometheus may ask, by plain HTTP and without a password. Default nowhere. */
  readonly metrics?: MetricsAddress;
  /** Least severe line that is logged. Default `info`. */
  readonly logLevel: LogLevel;
}

/** Every default but the name, which is the machine's. */
export const DEFAULT_OPTIONS: Omit<
  DaemonOptions,
  'name' | 'advertise' | 'dockerPlugin' | 'meshKeyFile' | 'metrics'
> = {
  listen: { addresses: ['0.0.0.0', '::'], port: DEFAULT_MESH_PORT },
  gossip: 'sealed',
  vxlanPort: DEFAULT_VXLAN_PORT,
  stateDir: '/var/lib/weft',
  socket: DEFAULT_SOCKET,
  dataPlane: 'auto',
  fastPath: 'auto',
  threads: 1,
  unknownUnicastRate: DEFAULT_UNKNOWN_UNICAST_RATE,
  join: [],
  ipamLeaseSeconds: 300,
  ipamEndpointLeaseHours: 24,
  trustedSubnet: [],
  linkRekeySeconds: REKEY_SECONDS.default,
  dockerSocket: '/var/run/docker.sock',
  dockerScope: 'local',
  dns: 'on',
  dnsDomain: 'weft.local',
  dnsListen: [],
  dnsTtl: 1,
  dnsUpstream: [],
  logLevel: 'info',
};
