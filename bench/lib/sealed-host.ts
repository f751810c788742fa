/**
 * Two native data planes with sealed frames between them, and nothing else: no daemon, no gossip, no key
 * agreement. What they cost and carry is the hot path's alone.
 */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { DataPlaneCounters } from '../../src/dataplane/dataplane.ts';
import type { SealingKey } from '../../src/encap/sealed.ts';
import { INNER_ETHERNET_BYTES, OUTER_IPV4_BYTES, OUTER_UDP_BYTES } from '../../src/encap/mtu.ts';
import type { LabHost } from './lab.ts';
import type { LabProcess } from './process.ts';
import {
  CONTAINER_ADDRESSES,
  OVERLAY_MTU,
  UNDERLAY_MTU,
  type Ends,
  type Topology,
} from './topology.ts';

const PROGRAM = fileURLToPath(new URL('./sealed-host-program.js', import.meta.url));

/** Header and tag of a sealed frame (docs/wire-format.md). */
const SEALED_HEADER_BYTES = 16;
const SEALED_TAG_BYTES = 16;
const SEALED_OVERHEAD_BYTES =
  OUTER_IPV4_BYTES +
  OUTER_UDP_BYTES +
  SEALED_HEADER_BYTES +
  INNER_ETHERNET_BYTES +
  SEALED_TAG_BYTES;

/** What sealed frames leave of the underlay's MTU. */
export const SEALED_MTU = UNDERLAY_MTU - SEALED_OVERHEAD_BYTES;

/** The TAP device that the program makes in its host's namespace. */
export const SEALED_DEVICE = 'weft0';

const CIPHER = 'aes-256-gcm';

export type Drops = DataPlaneCounters['drops'];

/** A `SealingKey` as it crosses a pipe: the key's bytes in hexadecimal. */
export interface WrittenKey extends Omit<SealingKey, 'key'> {
  readonly hex: string;
}

/** A host's address and, in hexadecimal, its relay tag. */
export interface WrittenHop {
  readonly address: string;
  readonly tag: string;
}

/** What one line of the program's input asks for. */
export type SealedCommand =
  | { readonly kind: 'setSendKey' | 'addReceiveKey'; readonly key: WrittenKey }
  | { readonly kind: 'removeReceiveKey'; readonly index: number }
  | { readonly kind: 'setPath'; readonly relay?: WrittenHop }
  | { readonly kind: 'relay'; readonly hosts: readonly WrittenHop[] }
  | { readonly kind: 'counters' };

/** The line that answers the Nth command, once it has taken effect. */
export interface SealedAnswer {
  readonly answered: number;
  readonly drops: Drops;
  /** Datagrams passed on for others. */
  readonly relayed: number;
}

/** The key of an epoch in one direction: fixed, so that runs are alike, and known to all who read this. */
function benchKey(sender: LabHost, epoch: number): WrittenKey {
  const hash = createHash('sha256').update(`weft bench ${sender.address} epoch ${epoch}`);
  return { cipher: CIPHER, index: epoch, hex: hash.digest('hex') };
}

/** In place of the first bytes of a host id. */
function tagOf({ address }: LabHost): string {
  return createHash('sha256').update(address).digest('hex').slice(0, 16);
}

/** A data plane on a host of a lab, driven over the pipes of its process. */
export class SealedHost {
  readonly host: LabHost;
  readonly #program: LabProcess;
  #asked = 0;

  private constructor(host: LabHost, program: LabProcess) {
    this.host = host;
    this.#program = program;
  }

  /** Starts it on `host` with `peer` as its one VTEP; its TAP device is there, down, when this returns. */
  static async start(
    host: LabHost,
    peer: LabHost,
    isSealed = true,
    mtu = isSealed ? SEALED_MTU : OVERLAY_MTU,
  ): Promise<SealedHost> {
    const where = isSealed ? [String(mtu)] : [String(mtu), 'plain'];
    where.unshift(host.address, peer.address);
    const program = host.namespace.start(process.execPath, [PROGRAM, ...where], {}, 'lines');
    await program.waitForLine(/^ready$/);
    return new SealedHost(host, program);
  }

  get pid(): number {
    return this.#program.pid ?? 0;
  }

  setSendKey(key: WrittenKey): Promise<Drops> {
    return this.#ask({ kind: 'setSendKey', key });
  }

  addReceiveKey(key: WrittenKey): Promise<Drops> {
    return this.#ask({ kind: 'addReceiveKey', key });
  }

  removeReceiveKey(index: number): Promise<Drops> {
    return this.#ask({ kind: 'removeReceiveKey', index });
  }

  /** Straight to the peer, or by a relay. */
  setPath(relay?: LabHost, peer?: LabHost): Promise<Drops> {
    if (relay === undefined || peer === undefined) return this.#ask({ kind: 'setPath' });
    return this.#ask({ kind: 'setPath', relay: { address: relay.address, tag: tagOf(peer) } });
  }

  /** Passes on what these hosts send each other. */
  relayBetween(hosts: readonly LabHost[]): Promise<Drops> {
    const written = hosts.map((host) => ({ address: host.address, tag: tagOf(host) }));
    return this.#ask({ kind: 'relay', hosts: written });
  }

  drops(): Promise<Drops> {
    return this.#ask({ kind: 'counters' });
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  /** Datagrams that it has passed on. */
  async relayed(): Promise<number> {
    return (await this.#answer({ kind: 'counters' })).relayed;
  }

  async #ask(command: SealedCommand): Promise<Drops> {
    return (await this.#answer(command)).drops;
  }

  async #answer(command: SealedCommand): Promise<SealedAnswer> {
    const answer = new RegExp(`^\\{"answered":${++this.#asked},.*$`);
    this.#program.say(JSON.stringify(command));
    const [line] = await this.#program.waitForLine(answer);
    return JSON.parse(line) as SealedAnswer;
  }
}

export interface SealedPair {
  readonly ends: Ends;
  readonly hosts: readonly [SealedHost, SealedHost];
}

/**
 * Begins an epoch, counted from 0, in one direction: the receiver has the key before the sender uses it.
 * The epoch before stays for what is under way, and the one before that goes.
 */
export async function switchKey(
  sender: SealedHost,
  receiver: SealedHost,
  epoch: number,
): Promise<void> {
  const key = benchKey(sender.host, epoch);
  await receiver.addReceiveKey(key);
  await sender.setSendKey(key);
  const retired = epoch - 2;
  if (retired >= 0) await receiver.removeReceiveKey(retired);
}

/** Begins an epoch in both directions. */
export async function switchKeys([a, b]: SealedPair['hosts'], epoch: number): Promise<void> {
  await switchKey(a, b, epoch);
  await switchKey(b, a, epoch);
}

/** Brings both hosts up in epoch 0, each with a container behind its bridge; the lab ends what is started. */
export async function startSealedPair(
  topology: Topology,
  mtu: number = SEALED_MTU,
): Promise<SealedPair> {
  const ends = await topology.bridgedContainers(mtu);
  const [a, b] = topology.hosts;
  const hosts = [
    await SealedHost.start(a, b, true, mtu),
    await SealedHost.start(b, a, true, mtu),
  ] as const;
  await switchKeys(hosts, 0);
  for (const { namespace } of topology.hosts) {
    await namespace.ip(`link set ${SEALED_DEVICE} master br0 up`);
  }
  return { ends, hosts };
}

/** As `startSealedPair` without sealing, each TAP device being its container's own interface: no bridge, no veth. */
export async function startDirectPair(topology: Topology): Promise<SealedPair> {
  const containers = await topology.emptyContainers();
  const [a, b] = topology.hosts;
  const hosts = [await SealedHost.start(a, b, false), await SealedHost.start(b, a, false)] as const;
  for (const [index, container] of containers.entries()) {
    const { namespace } = topology.hosts[index === 0 ? 0 : 1];
    await namespace.ip(`link set ${SEALED_DEVICE} netns ${container.name} name eth0`);
    await container.ip(`addr add ${CONTAINER_ADDRESSES[index === 0 ? 0 : 1]}/24 dev eth0`);
    await container.ip('link set eth0 up');
  }
  const [client, server] = containers;
  return {
    ends: { client, server, serverAddress: CONTAINER_ADDRESSES[1], mtu: OVERLAY_MTU },
    hosts,
  };
}
