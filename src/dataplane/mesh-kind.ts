/**
 * What a datagram on the mesh port is, told by its first byte before anything else is looked at:
 *
 *   0x00          never sent
 *   0x01 .. 0x0f  control: gossip. The byte belongs to gossip's codec (0x01 is its first form) and
 *                 stays on the datagram that the control channel hands up.
 *   0x10 .. 0x1f  control: handshakes
 *   0x20 .. 0x21  sealed frames (encap/sealed.ts)
 *   0x22 .. 0x23  their like in the clear (encap/unsealed.ts)
 *   0x24 .. 0x2f  unassigned
 *   0x30 .. 0x37  for another host (relay-header.ts)
 *   0x38 .. 0x3f  unassigned
 *   0x40 .. 0x4f  control: the envelope, which holds one of the other kinds of control sealed
 *   0x50 .. 0x53  control: path probes; 0x52: control that came by a relay (link/relayed.ts)
 *   0x54 .. 0x57  control: what may go in the clear (link/trust-message.ts)
 *   0x58 .. 0x5f  control: MTU probes
 *   0x60 .. 0x6f  control: exchanges, questions and answers where there is no stream
 *   0x70 .. 0xff  unassigned
 *
 * In a sealed mesh all control but handshakes comes inside an envelope, in an open one bare. Plain VXLAN
 * (first byte 0x08) has a port of its own and is never here.
 */
export const CONTROL_KINDS = {
  gossip: { first: 0x01, last: 0x0f },
  handshakes: { first: 0x10, last: 0x1f },
  envelope: { first: 0x40, last: 0x4f },
  pathProbes: { first: 0x50, last: 0x53 },
  trust: { first: 0x54, last: 0x57 },
  mtuProbes: { first: 0x58, last: 0x5f },
  exchanges: { first: 0x60, last: 0x6f },
} as const;
export type ControlKind = keyof typeof CONTROL_KINDS;

export const CONTROL_KIND_NAMES = Object.keys(CONTROL_KINDS) as readonly ControlKind[];

const BY_FIRST_BYTE: readonly (ControlKind | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  CONTROL_KIND_NAMES.find(
    (kind) => byte >= CONTROL_KINDS[kind].first && byte <= CONTROL_KINDS[kind].last,
  ),
);

/** Which control a datagram with this first byte is; undefined if it is none. */
export function controlKindOf(firstByte: number): ControlKind | undefined {
  return BY_FIRST_BYTE[firstByte];
}

/** Whether a datagram with this first byte goes up to the control channel. */
export function isControlKind(firstByte: number): boolean {
  return controlKindOf(firstByte) !== undefined;
}
