// Every header parser: Ethernet, VLAN, IPv4, IPv6 with extensions, TCP, UDP. The input is a frame.
#include "../core/packet.hpp"
#include "input.hpp"

namespace weft {
namespace {

// Reads each field that a Layers promises, so that the address sanitizer judges the promise.
uint32_t ReadAll(const uint8_t* frame, const Layers& layers) {
  uint32_t sum = FlowHash(frame, layers) + MaxFrameBytes(frame, 1400);
  if (layers.kind == FrameKind::kOther) return sum;
  const uint32_t ip = layers.is_ipv6 ? kIpv6Bytes : kMinIpv4Bytes;
  for (uint32_t at = layers.l3; at < layers.l3 + ip; at++) sum += frame[at];
  if (!layers.has_ports()) return sum;
  for (uint32_t at = layers.l4; at < layers.payload; at++) sum += frame[at];
  return sum + frame[layers.l4 + layers.checksum_offset() + 1U];
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  const std::span frame(data, size);
  const Layers layers = ParseFrame(frame);
  if (size < kEthernetBytes) {
    CHECK(layers.kind == FrameKind::kOther);
    return 0;
  }
  [[maybe_unused]] volatile const uint32_t seen = ReadAll(data, layers);
  if (layers.kind == FrameKind::kOther) return 0;
  CHECK(layers.end <= size && layers.l3 < layers.end);
  if (!layers.has_ports()) return 0;
  CHECK(layers.l3 < layers.l4 && layers.l4 < layers.payload && layers.payload <= layers.end);
  // Padding behind the packet changes nothing.
  const Layers bare = ParseFrame(frame.first(layers.end));
  CHECK(bare.kind == layers.kind && bare.l4 == layers.l4 && bare.end == layers.end);
  CHECK(FlowHash(data, bare) == FlowHash(data, layers));
  return 0;
}
