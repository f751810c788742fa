/**
 * What a datagram on the mesh port is, told by its first byte before anything else is looked at:
 *
 *   0x00          never sent
 *   0x01 .. 0x0f  control: gossip. The byte belongs to gossip's codec (0x01 is its first form) and
 *                 stays on the datagram that the control channel hands up.
 *   0x10 .. 0x1f  control: handshakes
 *   0x20 .. 0x2f  kept for sealed frames
 *   0x30 .. 0xff  unassigned
 *
 * Plain VXLAN (first byte 0x08) has a port of its own and is never here.
 */
export const FIRST_CONTROL_KIND = 0x01;
export const FIRST_HANDSHAKE_KIND = 0x10;
export const LAST_CONTROL_KIND = 0x1f;

/** Whether a datagram with this first byte goes up to the control channel. */
export function isControlKind(firstByte: number): boolean {
  return firstByte >= FIRST_CONTROL_KIND && firstByte <= LAST_CONTROL_KIND;
}

/** Whether a control datagram is a handshake's, and not gossip's. */
export function isHandshakeKind(firstByte: number): boolean {
  return firstByte >= FIRST_HANDSHAKE_KIND && firstByte <= LAST_CONTROL_KIND;
}
