#pragma once

#include <cstdint>
#include <span>

// Where the headers of an Ethernet frame lie. The lengths are checked here, once: what a Layers
// says is inside the frame may be read without another check.
namespace weft {

constexpr uint32_t kEthernetBytes = 14;
constexpr uint32_t kVlanTagBytes = 4;
constexpr uint32_t kMinIpv4Bytes = 20;
constexpr uint32_t kIpv6Bytes = 40;
constexpr uint32_t kMinTcpBytes = 20;
constexpr uint32_t kUdpBytes = 8;

constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;

constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeArp = 0x0806;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;

// Offsets of fields from the start of their header.
namespace ethernet {
constexpr uint32_t kDestination = 0;
constexpr uint32_t kSource = 6;
constexpr uint32_t kAddressesBytes = 12;
}  // namespace ethernet

// RFC 791 §3.1.
namespace ipv4 {
constexpr uint32_t kVersionLength = 0;
constexpr uint32_t kTos = 1;
constexpr uint32_t kTotalLength = 2;
constexpr uint32_t kId = 4;
constexpr uint32_t kFragment = 6;
constexpr uint32_t kTtl = 8;
constexpr uint32_t kProtocol = 9;
constexpr uint32_t kChecksum = 10;
constexpr uint32_t kAddresses = 12;
constexpr uint32_t kAddressesBytes = 8;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kFragmentOffset = 0x1fff;
}  // namespace ipv4

// RFC 8200 §3.
namespace ipv6 {
constexpr uint32_t kPayloadLength = 4;
constexpr uint32_t kNextHeader = 6;
constexpr uint32_t kHopLimit = 7;
constexpr uint32_t kAddresses = 8;
constexpr uint32_t kAddressesBytes = 32;
}  // namespace ipv6

// RFC 9293 §3.1.
namespace tcp {
constexpr uint32_t kPorts = 0;
constexpr uint32_t kSequence = 4;
constexpr uint32_t kAcknowledgement = 8;
constexpr uint32_t kDataOffset = 12;
constexpr uint32_t kFlags = 13;
constexpr uint32_t kWindow = 14;
constexpr uint32_t kChecksum = 16;
constexpr uint32_t kUrgent = 18;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kEce = 0x40;
constexpr uint8_t kCwr = 0x80;
}  // namespace tcp

// RFC 768.
namespace udp {
constexpr uint32_t kPorts = 0;
constexpr uint32_t kLength = 4;
constexpr uint32_t kChecksum = 6;
}  // namespace udp

enum class FrameKind : uint8_t {
  kOther,     // not IP, or IP whose headers contradict its length
  kIp,        // IP with a transport that is neither TCP nor UDP, or one that can't be read
  kFragment,  // IP fragment: no transport header to rely on
  kTcp,
  kUdp,
};

// Offsets from the start of the frame. `l4` and `payload` are set for kTcp and kUdp only.
struct Layers {
  FrameKind kind = FrameKind::kOther;
  bool is_ipv6 = false;
  uint16_t l3 = 0;
  uint16_t l4 = 0;
  uint16_t payload = 0;
  // End of the IP packet: what follows in the frame is padding.
  uint32_t end = 0;

  bool has_ports() const { return kind == FrameKind::kTcp || kind == FrameKind::kUdp; }
  uint8_t protocol() const { return kind == FrameKind::kTcp ? kProtocolTcp : kProtocolUdp; }
  // Of the checksum field, from the start of the transport header.
  uint16_t checksum_offset() const {
    return static_cast<uint16_t>(kind == FrameKind::kTcp ? tcp::kChecksum : udp::kChecksum);
  }
};

// Reads at most two VLAN tags, IPv4 with options, IPv6 with extension headers, TCP and UDP. A VLAN
// frame or an IPv6 header chain longer than that is kOther or kIp: still forwarded, never
// rewritten.
Layers ParseFrame(std::span<const uint8_t> frame);

// Longest frame of a network with `mtu`. A customer tag (802.1Q) is allowed on top, as Linux's
// bridges do: the MTU speaks of the payload, and a tagged sender is not told that its packets must
// be smaller.
uint32_t MaxFrameBytes(const uint8_t* frame, uint32_t mtu);

// The same for any frame of 14 bytes or more of one flow: IP addresses and ports, else the MACs.
uint32_t FlowHash(const uint8_t* frame, const Layers& layers);

}  // namespace weft
