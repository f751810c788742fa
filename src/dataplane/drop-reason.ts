/**
 * Every reason for which a frame or datagram is refused. Each has one counter; `weft status --json`
 * shows the names as they stand here, and they are stable.
 */
export const DROP_REASONS = [
  // From a local port.
  'port_frame_short', // under 14 bytes
  'port_frame_long', // over the port's MTU and Ethernet header: it would not fit the underlay
  'port_source_invalid', // source MAC is zero or a group address (IEEE 802.3)
  'port_source_spoofed', // source MAC is pinned to another host, whose endpoint has it
  'port_gateway', // to, from or about the gateway: each host has its own, and none crosses (docs/adr/0026)
  'port_hairpin', // destination is on the port that it came from
  'port_no_destination', // flood on a network with no other port and no VTEP
  'port_unknown_limited', // unknown destination, and the network floods too many such frames already
  'port_offload_invalid', // virtio-net header that contradicts its frame: forged lengths, unknown kind
  // From the underlay, VXLAN port.
  'vxlan_short', // datagram shorter than the VXLAN header
  'vxlan_flags', // the I flag is not set (RFC 7348 §5)
  'vxlan_vni_unknown', // no such network on this host
  'vxlan_vtep_unknown', // sender is no VTEP of that network
  'vxlan_not_sealed', // the sender is a VTEP that must seal what it sends on that network
  'vxlan_frame_short', // inner frame under 14 bytes
  'vxlan_frame_long', // inner frame longer than any port of the network takes
  'vxlan_source_invalid', // inner source MAC is zero or a group address
  'vxlan_source_local', // inner source MAC belongs to an endpoint of this host: spoofed or looped
  'vxlan_source_spoofed', // inner source MAC is pinned to another host: spoofed, or its row is late
  'vxlan_gateway', // to, from or about the gateway of the network, which this host has itself
  'vxlan_ecn', // marked on the way (CE), but the inner packet knows no marks (RFC 6040 §4.2)
  'vxlan_no_port', // known destination is another VTEP, or no local port: split horizon forbids relaying
  // From the underlay, mesh port.
  'mesh_unknown', // first byte is no kind that we know
  'mesh_queue_full', // more control datagrams than the event loop has taken
  'mesh_handshake_foreign', // mac1 is wrong: for another host, or by nobody of this mesh
  'mesh_handshake_shed', // more handshakes than one source, or all together, may send (docs/adr/0065)
  'mesh_envelope_shed', // control that nobody of the mesh has sealed, and more than a few of it (docs/adr/0063)
  // From the underlay, datagrams on the mesh port that are for another host.
  'relay_malformed', // no datagram behind the relay header, or another relay header
  'relay_stranger', // the sender is no host that this one relays for
  'relay_unknown', // no route to the host of that tag
  'relay_hop_limit', // too many relays: the routes of two or more hosts make a loop
  'relay_loop', // the next hop is where it came from
  // From the underlay, sealed frames on the mesh port.
  'sealed_short', // datagram shorter than the sealed header and its tag
  'sealed_session_unknown', // no session with that receiver index
  'sealed_replayed', // counter seen before, or too old for the replay window
  'sealed_forged', // authentication failed: not sealed by the peer, or changed on the way
  'sealed_vni_unknown', // no such network on this host
  'sealed_vtep_unknown', // the session's peer is no VTEP of that network
  'sealed_frame_short', // as the vxlan_ reasons of the same names
  'sealed_frame_long',
  'sealed_source_invalid',
  'sealed_source_local',
  'sealed_source_spoofed',
  'sealed_gateway',
  'sealed_ecn',
  'sealed_no_port',
  // From the underlay, frames of sealed networks in the clear (docs/adr/0059), mesh port.
  'unsealed_short', // datagram shorter than the header
  'unsealed_unknown', // no session with that receiver index
  'unsealed_not_agreed', // the sender is at no address from which its host may send in the clear
  // On the way out.
  'sealed_no_key', // the VTEP takes sealed frames only, and there is no session with its host
  'sealed_key_exhausted', // the session's key has sealed as many frames as it may
  'underlay_send_failed', // the socket refused the datagram (no route, too long, interface down)
  'underlay_queue_full', // back-pressure: too many datagrams wait in the socket
  'port_write_failed', // the TAP device refused the frame (down, gone, queue full)
  'port_stopped', // the port was removed while the frame was under way
  // To a socket that only sends.
  'underlay_unasked', // a datagram came back to a VXLAN source port: no VTEP answers there (RFC 7348 §5)
] as const;

export type DropReason = (typeof DROP_REASONS)[number];
