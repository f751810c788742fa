// The fast path: plain VXLAN between an endpoint of this host and a MAC that user space has at a
// VTEP, without leaving the kernel (docs/adr/0022). Two programs at tc ingress:
//
//   encap   host's end of an endpoint's veth -> outer headers -> underlay interface
//   decap   underlay interface -> headers off -> the veth's other end, in the container
//
// Both are caches: whatever they do not know or is not plain goes on as if they were not there, to
// the bridge or to the UDP socket, where user space forwards, learns, refuses and counts. So no
// branch here drops a frame that is still whole.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "layout.h"

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

#define bpf_htons(value) ((__be16)__builtin_bswap16(value))
#define bpf_ntohs(value) ((__u16)__builtin_bswap16(value))

// The loader makes these maps and puts their descriptors where the program names them.
extern char remotes, locals, ports, vteps, traffic, slow_sent, slow_received, bursts, config;

static void* (*const map_lookup)(void* map, const void* key) = (void*)BPF_FUNC_map_lookup_elem;
static long (*const skb_load_bytes)(const struct __sk_buff* skb, __u32 offset, void* to,
                                    __u32 len) = (void*)BPF_FUNC_skb_load_bytes;
static long (*const skb_store_bytes)(struct __sk_buff* skb, __u32 offset, const void* from,
                                     __u32 len, __u64 flags) = (void*)BPF_FUNC_skb_store_bytes;
static long (*const skb_adjust_room)(struct __sk_buff* skb, __s32 len_diff, __u32 mode,
                                     __u64 flags) = (void*)BPF_FUNC_skb_adjust_room;
static __u32 (*const get_hash_recalc)(struct __sk_buff* skb) = (void*)BPF_FUNC_get_hash_recalc;
static __u64 (*const ktime_get_ns)(void) = (void*)BPF_FUNC_ktime_get_ns;
static long (*const redirect)(__u32 ifindex, __u64 flags) = (void*)BPF_FUNC_redirect;
static long (*const redirect_neigh)(__u32 ifindex, struct bpf_redir_neigh* params, int plen,
                                    __u64 flags) = (void*)BPF_FUNC_redirect_neigh;
static long (*const redirect_peer)(__u32 ifindex, __u64 flags) = (void*)BPF_FUNC_redirect_peer;

// Results of a TCX program (linux/bpf.h since 6.6).
enum { TCX_NEXT_PROGRAM = -1, TCX_DROP_FRAME = 2 };

// Since Linux 6.3.
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

struct inner_ethernet {
  __u8 destination[6];
  __u8 source[6];
  __be16 type;
} __attribute__((packed));

// Ethernet, IPv4, UDP, VXLAN (RFC 7348 §5), inner Ethernet.
struct outer {
  struct inner_ethernet ethernet;
  struct iphdr ip;
  struct udphdr udp;
  __u8 vxlan[8];
  struct inner_ethernet inner;
} __attribute__((packed));

enum {
  OUTER_BYTES = sizeof(struct outer) - ETH_HLEN,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  TCP_BYTES = 20,
  TCP_SYN = 0x02,
  TCP_MSS = 2,
  PROTOCOL_ICMPV6 = 58,
  // Of ICMPv6: neighbour discovery (RFC 4861).
  FIRST_DISCOVERY = 133,
  LAST_DISCOVERY = 137,
  IP_FLAGS_DF = 0x4000,
  IP_FRAGMENT = 0x3fff,  // more fragments, or an offset
  TTL = 64,
  // RFC 3168 §5.
  ECN_MASK = 3,
  ECN_ECT1 = 1,
  ECN_ECT0 = 2,
  ECN_CE = 3,
  // The dynamic range of RFC 7348 §5: the low 14 bits are the flow's.
  FIRST_SOURCE_PORT = 49152,
  VXLAN_FLAG_I = 0x08,
  VXLAN_FLAG_PARTIAL = 0x01,
  VXLAN_PARTIAL_AT = 3,
  VXLAN_VNI_AT = 4,
};

// How long a flow keeps to the slow path after a super-frame of it went there, in ns: what follows
// would otherwise overtake it.
#define SLOW_NS 20000000ULL

// Whether a frame of a flow has to stay behind others: `is_slow` says that this one takes the slow
// path for its own sake.
INLINE int must_follow(void* flows, __u32 hash, __u64 now, int is_slow) {
  const __u32 slot = hash % WEFT_SLOW_FLOWS;
  __u64* until = map_lookup(flows, &slot);
  if (!until) return 1;
  if (is_slow) *until = now + SLOW_NS;
  return *until >= now;
}

// Small datagrams in bursts fare better in user space, which sends many in one call on one
// processor while the sender has another: so many of a flow in such a time, in ns.
#define BURST_DATAGRAMS 32
#define BURST_NS 1000000ULL
#define BURST_MAX_BYTES 512

// Counts a datagram of a flow; whether it is one of a burst. Processors may lose each other's
// counts, which only delays the answer.
INLINE int is_burst(__u32 hash, __u64 now) {
  const __u32 slot = hash % WEFT_SLOW_FLOWS;
  struct weft_burst* burst = map_lookup(&bursts, &slot);
  if (!burst) return 0;
  if (burst->until < now) {
    burst->until = now + BURST_NS;
    burst->count = 0;
  }
  return ++burst->count >= BURST_DATAGRAMS;
}

// An inner packet's transport protocol (0 behind options and extension headers), the bytes of its
// headers up to the transport payload, and of the whole packet.
struct extent {
  __u8 protocol;
  __u8 tos;  // DSCP and ECN
  __u8 is_syn;
  __u32 l3_bytes;
  __u32 headers;
  __u32 packet;
};

// Reads the packet's length from its IP header; false for what is no plain IPv4 or IPv6, and for
// neighbour discovery, of which user space has to see what it says of the gateway. Header
// bytes are found only for TCP and UDP straight behind an IP header without options, and 0
// otherwise.
INLINE int measure(struct __sk_buff* skb, __u32 offset, __be16 type, struct extent* extent) {
  __u32 l3_bytes;
  __u8 protocol;
  if (type == bpf_htons(ETH_P_IP)) {
    struct iphdr ip;
    if (skb_load_bytes(skb, offset, &ip, sizeof ip) != 0 || ip.version != 4) return 0;
    extent->packet = bpf_ntohs(ip.tot_len);
    extent->tos = ip.tos;
    l3_bytes = sizeof ip;
    protocol = ip.ihl == 5 ? ip.protocol : 0;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr ip;
    if (skb_load_bytes(skb, offset, &ip, sizeof ip) != 0 || ip.version != 6) return 0;
    extent->packet = bpf_ntohs(ip.payload_len) + sizeof ip;
    extent->tos = ip.priority << 4 | ip.flow_lbl[0] >> 4;
    l3_bytes = sizeof ip;
    protocol = ip.nexthdr;
    if (protocol == PROTOCOL_ICMPV6) {
      __u8 kind;
      if (skb_load_bytes(skb, offset + l3_bytes, &kind, 1) != 0) return 0;
      if (kind >= FIRST_DISCOVERY && kind <= LAST_DISCOVERY) return 0;
    }
  } else {
    return 0;
  }
  extent->protocol = protocol;
  extent->headers = 0;
  extent->is_syn = 0;
  extent->l3_bytes = l3_bytes;
  if (protocol == PROTOCOL_UDP) extent->headers = l3_bytes + sizeof(struct udphdr);
  if (protocol == PROTOCOL_TCP) {
    __u8 tcp[2];  // data offset, flags
    if (skb_load_bytes(skb, offset + l3_bytes + 12, tcp, sizeof tcp) != 0) return 0;
    extent->headers = l3_bytes + (tcp[0] >> 4) * 4;
    extent->is_syn = (tcp[1] & TCP_SYN) != 0;
  }
  return 1;
}

// Whether a SYN announces larger segments than packets of `mtu` hold: user space lowers that. It is
// asked as well where the option is not the first, as Linux has it.
INLINE int announces_too_much(struct __sk_buff* skb, const struct extent* extent, __u32 mtu) {
  const __u32 headers = extent->l3_bytes + TCP_BYTES;
  __u8 option[4];  // kind, length, value
  if (extent->headers == headers) return 0;
  if (skb_load_bytes(skb, ETH_HLEN + headers, option, sizeof option) != 0) return 1;
  if (option[0] != TCP_MSS || option[1] != sizeof option) return 1;
  return (((__u32)option[2] << 8) | option[3]) + headers > mtu;
}

// Whether each packet that comes out of this super-frame, or this one packet, is within the MTU
// with `outer` bytes in front of it.
INLINE int fits(struct __sk_buff* skb, const struct extent* extent, __u32 bytes, __u32 outer,
                __u32 mtu) {
  if (skb->gso_size == 0) return bytes + outer <= mtu;
  return extent->headers != 0 && extent->headers + skb->gso_size + outer <= mtu;
}

// Packets that come out of a super-frame, and their bytes with Ethernet headers.
INLINE void weigh(struct __sk_buff* skb, const struct extent* extent, __u32 bytes, __u64* frames,
                  __u64* frame_bytes) {
  __u32 count = 1;
  if (skb->gso_size != 0 && bytes > extent->headers) {
    count = (bytes - extent->headers + skb->gso_size - 1) / skb->gso_size;
  }
  *frames += count;
  *frame_bytes += bytes + ETH_HLEN + (__u64)(count - 1) * (extent->headers + ETH_HLEN);
}

INLINE struct weft_fdb_key key_of(__u32 vni, const __u8* mac) {
  struct weft_fdb_key key = {.vni = vni};
  __builtin_memcpy(key.mac, mac, sizeof key.mac);
  return key;
}

INLINE int is_same_mac(const __u8* a, const __u8* b) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
         a[5] == b[5];
}

INLINE __be16 header_checksum(const struct iphdr* ip) {
  const __u16* words = (const __u16*)ip;
  __u32 sum = 0;
#pragma unroll
  for (int i = 0; i < 10; i++) sum += words[i];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__be16)~sum;
}

// The outer checksum is 0, "none": the inner ones stay as they are, finished or left to the device.
INLINE void write_outer(struct outer* outer, const struct weft_vtep* vtep, __u32 vni, __u8 tos,
                        __u32 bytes, __u32 hash) {
  struct iphdr ip = {
      .version = 4,
      .ihl = 5,
      .tos = vtep->combines_ecn ? tos : tos & ~ECN_MASK,
      .tot_len = bpf_htons((__u16)(bytes + OUTER_BYTES)),
      .frag_off = bpf_htons(IP_FLAGS_DF),
      .ttl = TTL,
      .protocol = PROTOCOL_UDP,
      .saddr = vtep->local,
      .daddr = vtep->remote,
  };
  ip.check = header_checksum(&ip);
  outer->ethernet.type = bpf_htons(ETH_P_IP);
  outer->ip = ip;
  outer->udp.source = bpf_htons((__u16)(FIRST_SOURCE_PORT | hash));
  outer->udp.dest = vtep->port;
  outer->udp.len = bpf_htons((__u16)(bytes + OUTER_BYTES - sizeof ip));
  outer->vxlan[0] = VXLAN_FLAG_I;
  outer->vxlan[VXLAN_VNI_AT] = vni >> 16;
  outer->vxlan[VXLAN_VNI_AT + 1] = vni >> 8;
  outer->vxlan[VXLAN_VNI_AT + 2] = vni;
}

// Straight to where user space reads: the bridge would find nothing else for a MAC at a VTEP.
INLINE int to_user_space(const struct weft_port* port) {
  return port->tap == 0 ? TCX_NEXT_PROGRAM : (int)redirect(port->tap, 0);
}

SECTION("encap") int weft_encap(struct __sk_buff* skb) {
  const __u32 ifindex = skb->ifindex;
  const struct weft_port* port = map_lookup(&ports, &ifindex);
  if (!port || skb->vlan_present || skb->len < ETH_HLEN) return TCX_NEXT_PROGRAM;

  struct outer outer = {};
  if (skb_load_bytes(skb, 0, &outer.inner, sizeof outer.inner) != 0) return TCX_NEXT_PROGRAM;
  if (!is_same_mac(outer.inner.source, port->mac)) return TCX_NEXT_PROGRAM;
  const struct weft_fdb_key key = key_of(port->vni, outer.inner.destination);
  const struct weft_remote* remote = map_lookup(&remotes, &key);
  if (!remote) return TCX_NEXT_PROGRAM;
  const __u32 id = remote->vtep;
  const struct weft_vtep* vtep = map_lookup(&vteps, &id);
  struct weft_traffic* counters = map_lookup(&traffic, &id);
  if (!vtep || !counters) return TCX_NEXT_PROGRAM;

  struct extent extent;
  const __u32 bytes = skb->len - ETH_HLEN;
  if (!measure(skb, ETH_HLEN, outer.inner.type, &extent)) return TCX_NEXT_PROGRAM;
  // An underlay that is too narrow is a refusal, and user space counts those.
  if (!fits(skb, &extent, bytes, 0, port->mtu) ||
      !fits(skb, &extent, bytes, OUTER_BYTES, vtep->mtu)) {
    return TCX_NEXT_PROGRAM;
  }
  if (bytes + OUTER_BYTES > 0xffff) return TCX_NEXT_PROGRAM;
  if (extent.is_syn && announces_too_much(skb, &extent, port->mtu)) return to_user_space(port);

  // A receiver in user space can cut TCP super-frames up, but where a UDP datagram ended it can't
  // know.
  const __u32 hash = get_hash_recalc(skb);
  const int takes_super_frames = vtep->segments && extent.protocol == PROTOCOL_TCP;
  if (!takes_super_frames) {
    const __u64 now = ktime_get_ns();
    const int is_slow = skb->gso_size != 0 || (extent.protocol == PROTOCOL_UDP &&
                                               bytes <= BURST_MAX_BYTES && is_burst(hash, now));
    if (must_follow(&slow_sent, hash, now, is_slow)) return to_user_space(port);
  }
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
                      BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
                      BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN);
  const __u32 underlay = vtep->ifindex;
  write_outer(&outer, vtep, port->vni, extent.tos, bytes, hash);
  if (skb_adjust_room(skb, OUTER_BYTES, BPF_ADJ_ROOM_MAC, flags) != 0) return TCX_NEXT_PROGRAM;
  if (skb_store_bytes(skb, 0, &outer, sizeof outer, 0) != 0) return TCX_DROP_FRAME;
  weigh(skb, &extent, bytes, &counters->tx_frames, &counters->tx_bytes);
  return (int)redirect_neigh(underlay, (void*)0, 0, 0);
}

// Whether the outer header's mark changes the inner packet's, or has it dropped (RFC 6040 §4.2):
// user space does and counts that.
INLINE int is_marked(__u8 outer, __u8 inner) {
  outer &= ECN_MASK;
  inner &= ECN_MASK;
  return outer == ECN_CE ? inner != ECN_CE : outer == ECN_ECT1 && inner == ECN_ECT0;
}

// Whether this is one datagram of plain VXLAN to `port`, alone in its packet: no options, no
// fragment, no padding, nothing that user space would have to complete or verify.
INLINE int is_plain(struct __sk_buff* skb, const struct outer* outer, __be16 port) {
  return outer->ip.version == 4 && outer->ip.ihl == 5 && outer->ip.protocol == PROTOCOL_UDP &&
         outer->udp.dest == port && outer->udp.check == 0 &&
         (outer->ip.frag_off & bpf_htons(IP_FRAGMENT)) == 0 &&
         skb->len == ETH_HLEN + (__u32)bpf_ntohs(outer->ip.tot_len) &&
         bpf_ntohs(outer->ip.tot_len) == bpf_ntohs(outer->udp.len) + sizeof outer->ip &&
         (outer->vxlan[0] & VXLAN_FLAG_I) != 0 &&
         (outer->vxlan[VXLAN_PARTIAL_AT] & VXLAN_FLAG_PARTIAL) == 0;
}

SECTION("decap") int weft_decap(struct __sk_buff* skb) {
  const __u32 first = 0;
  const struct weft_config* settings = map_lookup(&config, &first);
  struct outer outer;
  if (!settings || skb->vlan_present || skb->protocol != bpf_htons(ETH_P_IP) ||
      skb_load_bytes(skb, 0, &outer, sizeof outer) != 0 ||
      !is_plain(skb, &outer, settings->vxlan_port)) {
    return TCX_NEXT_PROGRAM;
  }
  const __u32 vni = (__u32)outer.vxlan[VXLAN_VNI_AT] << 16 |
                    (__u32)outer.vxlan[VXLAN_VNI_AT + 1] << 8 | outer.vxlan[VXLAN_VNI_AT + 2];
  const struct weft_fdb_key to = key_of(vni, outer.inner.destination);
  const struct weft_local* local = map_lookup(&locals, &to);
  if (!local) return TCX_NEXT_PROGRAM;
  const struct weft_fdb_key from = key_of(vni, outer.inner.source);
  const struct weft_remote* remote = map_lookup(&remotes, &from);
  const __u64 now = ktime_get_ns();
  if (!remote || remote->fresh_until < now) return TCX_NEXT_PROGRAM;
  const __u32 id = remote->vtep;
  const struct weft_vtep* vtep = map_lookup(&vteps, &id);
  struct weft_traffic* counters = map_lookup(&traffic, &id);
  if (!vtep || !counters || vtep->remote != outer.ip.saddr || vtep->local != outer.ip.daddr) {
    return TCX_NEXT_PROGRAM;
  }

  struct extent extent;
  const __u32 bytes = skb->len - sizeof outer;
  if (!measure(skb, sizeof outer, outer.inner.type, &extent)) return TCX_NEXT_PROGRAM;
  // Receive offload joins datagrams of a flow since our socket asks for it, and user space takes
  // them apart: inside is then the length of the first.
  const __u32 flow = outer.ip.saddr * 31 + outer.udp.source;
  const int is_slow = extent.packet != bytes || is_marked(outer.ip.tos, extent.tos);
  if (must_follow(&slow_received, flow, now, is_slow)) return TCX_NEXT_PROGRAM;
  if (!fits(skb, &extent, bytes, 0, local->mtu)) return TCX_NEXT_PROGRAM;

  const __u32 ifindex = local->ifindex;
  const __u64 flags =
      BPF_F_ADJ_ROOM_FIXED_GSO |
      (outer.inner.type == bpf_htons(ETH_P_IP) ? ADJ_ROOM_DECAP_L3_IPV4 : ADJ_ROOM_DECAP_L3_IPV6);
  if (skb_adjust_room(skb, -OUTER_BYTES, BPF_ADJ_ROOM_MAC, flags) != 0) return TCX_NEXT_PROGRAM;
  if (skb_store_bytes(skb, 0, &outer.inner, sizeof outer.inner, 0) != 0) return TCX_DROP_FRAME;
  weigh(skb, &extent, bytes, &counters->rx_frames, &counters->rx_bytes);
  return (int)redirect_peer(ifindex, 0);
}
