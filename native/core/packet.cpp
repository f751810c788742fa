#include "packet.hpp"

#include "endian.hpp"

namespace weft {
namespace {

constexpr uint16_t kEtherTypeVlan = 0x8100;
constexpr uint16_t kEtherTypeServiceVlan = 0x88a8;
constexpr int kMaxVlanTags = 2;

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragmentHeader = 44;
constexpr uint8_t kDestinationOptions = 60;
constexpr int kMaxExtensionHeaders = 8;

bool IsVlan(uint16_t type) { return type == kEtherTypeVlan || type == kEtherTypeServiceVlan; }

// Fills kind, l4 and payload for the transport header at `l4`.
void ParseTransport(const uint8_t* frame, uint32_t l4, uint8_t protocol, Layers& layers) {
  const uint32_t room = layers.end - l4;
  uint32_t header = 0;
  if (protocol == kProtocolTcp && room >= kMinTcpBytes) {
    header = uint32_t{frame[l4 + tcp::kDataOffset]} >> 4 << 2;
    if (header < kMinTcpBytes || header > room) return;
    layers.kind = FrameKind::kTcp;
  } else if (protocol == kProtocolUdp && room >= kUdpBytes) {
    header = kUdpBytes;
    if (LoadBe16(frame + l4 + udp::kLength) != room) return;
    layers.kind = FrameKind::kUdp;
  } else {
    return;
  }
  layers.l4 = static_cast<uint16_t>(l4);
  layers.payload = static_cast<uint16_t>(l4 + header);
}

void ParseIpv4(std::span<const uint8_t> frame, Layers& layers) {
  const uint32_t room = static_cast<uint32_t>(frame.size()) - layers.l3;
  if (room < kMinIpv4Bytes) return;
  const uint8_t* ip = frame.data() + layers.l3;
  const uint32_t header = uint32_t{ip[ipv4::kVersionLength]} % 16 * 4;
  const uint32_t total = LoadBe16(ip + ipv4::kTotalLength);
  if (ip[ipv4::kVersionLength] >> 4 != 4 || header < kMinIpv4Bytes || total < header ||
      total > room) {
    return;
  }
  layers.kind = FrameKind::kIp;
  layers.end = layers.l3 + total;
  const uint16_t fragment = LoadBe16(ip + ipv4::kFragment);
  if ((fragment & (ipv4::kMoreFragments | ipv4::kFragmentOffset)) != 0) {
    layers.kind = FrameKind::kFragment;
    return;
  }
  ParseTransport(frame.data(), layers.l3 + header, ip[ipv4::kProtocol], layers);
}

void ParseIpv6(std::span<const uint8_t> frame, Layers& layers) {
  const uint32_t room = static_cast<uint32_t>(frame.size()) - layers.l3;
  if (room < kIpv6Bytes) return;
  const uint8_t* ip = frame.data() + layers.l3;
  const uint32_t total = kIpv6Bytes + LoadBe16(ip + ipv6::kPayloadLength);
  if (ip[0] >> 4 != 6 || total > room) return;
  layers.kind = FrameKind::kIp;
  layers.is_ipv6 = true;
  layers.end = layers.l3 + total;
  uint32_t at = layers.l3 + kIpv6Bytes;
  uint8_t next = ip[ipv6::kNextHeader];
  for (int count = 0; count < kMaxExtensionHeaders; count++) {
    if (next == kFragmentHeader) {
      layers.kind = FrameKind::kFragment;
      return;
    }
    if (next != kHopByHop && next != kRouting && next != kDestinationOptions) {
      ParseTransport(frame.data(), at, next, layers);
      return;
    }
    if (layers.end - at < 8) return;
    next = frame[at];
    at += (uint32_t{frame[at + 1]} + 1) * 8;
    if (at > layers.end) return;
  }
}

uint32_t Mix(uint64_t words) {
  words *= 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>(words >> 32) ^ static_cast<uint32_t>(words);
}

}  // namespace

Layers ParseFrame(std::span<const uint8_t> frame) {
  Layers layers;
  if (frame.size() < kEthernetBytes) return layers;
  uint32_t at = kEthernetBytes;
  uint16_t type = LoadBe16(frame.data() + ethernet::kAddressesBytes);
  for (int tags = 0; IsVlan(type); tags++) {
    if (tags == kMaxVlanTags || frame.size() < at + kVlanTagBytes) return layers;
    type = LoadBe16(frame.data() + at + 2);
    at += kVlanTagBytes;
  }
  layers.l3 = static_cast<uint16_t>(at);
  layers.end = static_cast<uint32_t>(frame.size());
  if (type == kEtherTypeIpv4) ParseIpv4(frame, layers);
  if (type == kEtherTypeIpv6) ParseIpv6(frame, layers);
  return layers;
}

uint32_t MaxFrameBytes(const uint8_t* frame, uint32_t mtu) {
  const bool is_tagged = LoadBe16(frame + ethernet::kAddressesBytes) == kEtherTypeVlan;
  return mtu + kEthernetBytes + (is_tagged ? kVlanTagBytes : 0);
}

uint32_t FlowHash(const uint8_t* frame, const Layers& layers) {
  if (layers.kind == FrameKind::kOther) {
    return Mix(LoadNative<uint64_t>(frame) ^ LoadNative<uint32_t>(frame + 8));
  }
  const uint8_t* ip = frame + layers.l3;
  uint64_t words = 0;
  if (layers.is_ipv6) {
    for (uint32_t at = 0; at < ipv6::kAddressesBytes; at += 8) {
      words = words * 31 + LoadNative<uint64_t>(ip + ipv6::kAddresses + at);
    }
  } else {
    words = LoadNative<uint64_t>(ip + ipv4::kAddresses);
  }
  if (layers.has_ports()) {
    words = words * 31 + LoadNative<uint32_t>(frame + layers.l4) + layers.protocol();
  }
  return Mix(words);
}

}  // namespace weft
