/** What each drop counter means, for someone who meets it at night; the names are the data plane's. */
const PHRASES: Readonly<Record<string, string>> = {
  port_frame_short: 'a container sent less than an Ethernet header',
  port_frame_long: "a container's MTU is above the network's",
  port_source_invalid: 'a container sent from a zero or group MAC',
  port_offload_invalid: 'the kernel described a super-frame wrongly',
  port_hairpin: 'for a MAC behind the very port it came from',
  port_no_destination: 'nobody else is on the network yet',
  vxlan_short: 'a datagram on the VXLAN port was cut short',
  vxlan_flags: 'what came to the VXLAN port was not VXLAN',
  vxlan_vni_unknown: 'a VTEP sends a network unknown on this host',
  vxlan_vtep_unknown: 'a stranger sends VXLAN (see "weft vtep add")',
  vxlan_not_sealed: 'a host that must seal its frames sent plain VXLAN',
  vxlan_frame_short: 'a VTEP sent less than an Ethernet header',
  vxlan_frame_long: "a VTEP's MTU is above the network's",
  vxlan_source_invalid: 'a VTEP sent from a zero or group MAC',
  vxlan_source_local: 'a VTEP uses a MAC of this host: loop or forgery',
  vxlan_no_port: 'a VTEP sent for a MAC that is not here',
  mesh_unknown: 'what came to the mesh port is of no known kind',
  mesh_queue_full: 'gossip came faster than the daemon took it',
  sealed_short: 'a sealed datagram was cut short',
  sealed_session_unknown: 'sealed for a session that this host has not',
  sealed_replayed: 'a sealed frame came twice, or far too late',
  sealed_forged: 'a sealed frame was changed or forged',
  sealed_vni_unknown: 'sealed for a network unknown on this host',
  sealed_vtep_unknown: 'sealed by a host that is not on the network',
  sealed_frame_short: 'a host sealed less than an Ethernet header',
  sealed_frame_long: "a sealed frame is above the network's MTU",
  sealed_source_invalid: 'a host sealed a zero or group source MAC',
  sealed_source_local: 'a host sealed a MAC of ours: loop or forgery',
  sealed_no_port: 'a host sealed for a MAC that is not here',
  sealed_no_key: 'there is no key yet for the host to send to',
  sealed_key_exhausted: 'a session key has sealed all that it may',
  underlay_send_failed: 'the kernel would not send: no route or link down',
  underlay_queue_full: 'this host sends faster than its uplink takes',
  underlay_unasked: 'answers to a port that only sends',
  port_write_failed: 'a TAP device refused: down, or its queue full',
  port_stopped: 'under way while their endpoint was detached',
};

/** A sentence fragment for a drop counter; of a newer daemon's, its name in words. */
export function dropPhrase(name: string): string {
  return PHRASES[name] ?? name.replaceAll('_', ' ');
}
