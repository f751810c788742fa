#pragma once

// Keys and values of the fast path's maps, shared by the program in the kernel (C, fast-path.bpf.c)
// and its owner (C++, fast-path.hpp). Numbers are in this processor's order unless they are __be.
#include <linux/types.h>

// A MAC on a network.
struct weft_fdb_key {
  __u32 vni;
  __u8 mac[6];
  __u16 zero;
};

// A MAC that user space has at a VTEP.
struct weft_remote {
  __u32 vtep;
  __u32 zero;
  // CLOCK_MONOTONIC in ns. Later than that a frame from the MAC takes the slow path, which confirms
  // it: what only the fast path sees must not age.
  __u64 fresh_until;
};

// A MAC of an endpoint of this host.
struct weft_local {
  __u32 ifindex;  // of the host's end of its veth pair
  __u32 mtu;      // of its network
};

// The host's end of an endpoint's veth pair, by its ifindex.
struct weft_port {
  __u32 vni;
  __u32 mtu;
  __u8 mac[6];  // the only source that it may use here
  __u16 zero;
  // Ifindex of the network's TAP device, where user space reads; 0: none.
  __u32 tap;
};

// A VTEP of one network, by user space's id of it.
struct weft_vtep {
  __be32 local;
  __be32 remote;
  __u32 ifindex;  // of the underlay interface toward it
  __be16 port;
  __u32 mtu;  // and its MTU: of packets, the outer headers included
  // Whether super-frames may go: that interface cuts them up behind our headers, or the peer takes
  // them whole. If not, user space does it better: its datagrams have checksums, without which the
  // receiver can't join them again.
  __u16 segments;
  // Whether the peer is known to combine congestion marks (RFC 6040 §4.3).
  __u16 combines_ecn;
};

// Frames as user space would count them: after segmentation, with their Ethernet headers.
struct weft_traffic {
  __u64 rx_frames;
  __u64 rx_bytes;
  __u64 tx_frames;
  __u64 tx_bytes;
};

struct weft_config {
  __be16 vxlan_port;
};

// Flows, by a hash, that keep to the slow path until a time (CLOCK_MONOTONIC in ns).
#define WEFT_SLOW_FLOWS 4096

// Small datagrams of a flow in the present span of time, by the same hash.
struct weft_burst {
  __u64 until;  // CLOCK_MONOTONIC in ns
  __u32 count;
  __u32 zero;
};
