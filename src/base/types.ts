/** Scalars that must not be mixed up carry a brand: the compiler refuses a VNI where a port is meant. */
declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** VXLAN network identifier, 24 bits: 0 to 2^24 - 1 (RFC 7348 §5). */
export type Vni = Brand<number, 'Vni'>;

/** A host's identity in the mesh: 32 lower-case hex digits, made once and kept in its state directory. */
export type PeerId = Brand<string, 'PeerId'>;

/** A data plane attachment (device + VNI). Never reused within one data plane's life. */
export type PortId = Brand<number, 'PortId'>;

/** A monotonic instant or a span, in milliseconds. Never wall time. */
export type Millis = Brand<number, 'Millis'>;

/** A 48-bit Ethernet address as an integer, first byte highest. Exact in a double; never `<<` it. */
export type Mac = Brand<number, 'Mac'>;

/** An underlay address: textual IPv4 or IPv6 (RFC 5952, no zone, no brackets) and a UDP or TCP port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** Where a peer's tunnel ends. Keyed by `address` alone: VXLAN senders vary the source port. */
export type Vtep = SocketAddress;

/** How sealed frames and control datagrams reach a host (docs/adr/0047). */
export interface PeerPath {
  /** The host's mesh port as it is seen from here, or a relay's. */
  readonly to: SocketAddress;
  /** Set: `to` is a relay. The tag is the host's: the first 8 bytes of its id, big-endian. */
  readonly relayTag?: bigint;
  /** Frames go there in the clear, as both ends have agreed (docs/adr/0059); never by a relay. */
  readonly isUnsealed?: boolean;
}

export const MAX_VNI = 2 ** 24 - 1;

/** Brands a number that the caller has already checked to lie in 0..2^24-1. */
export const asVni = (value: number): Vni => value as Vni;
export const asMillis = (value: number): Millis => value as Millis;
export const asMac = (value: number): Mac => value as Mac;
export const asPortId = (value: number): PortId => value as PortId;
export const asPeerId = (value: string): PeerId => value as PeerId;

/** `192.0.2.1:7783`, `[2001:db8::1]:7783`: the one textual form of a socket address. */
export function formatSocketAddress({ address, port }: SocketAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The same text for the same path, and another for another. */
export function formatPeerPath({ to, relayTag, isUnsealed = false }: PeerPath): string {
  const relayed = relayTag === undefined ? '' : ` ${relayTag}`;
  return formatSocketAddress(to) + relayed + (isUnsealed ? ' unsealed' : '');
}
