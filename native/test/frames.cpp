#include "frames.hpp"

#include "../core/endian.hpp"

namespace weft::test {
namespace {

void Append16(Bytes& bytes, uint32_t value) {
  bytes.push_back(static_cast<uint8_t>(value >> 8));
  bytes.push_back(static_cast<uint8_t>(value));
}

void Append32(Bytes& bytes, uint32_t value) {
  Append16(bytes, value >> 16);
  Append16(bytes, value & 0xffff);
}

void Append48(Bytes& bytes, uint64_t value) {
  Append16(bytes, static_cast<uint32_t>(value >> 32));
  Append32(bytes, static_cast<uint32_t>(value));
}

uint32_t AddWords(std::span<const uint8_t> bytes, uint32_t sum) {
  for (size_t i = 0; i < bytes.size(); i++) {
    sum += i % 2 == 0 ? static_cast<uint32_t>(bytes[i]) << 8 : bytes[i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

uint32_t PseudoHeader(std::span<const uint8_t> frame, const Layers& layers) {
  const uint32_t at = layers.l3 + (layers.is_ipv6 ? 8U : 12U);
  const uint32_t size = layers.is_ipv6 ? 32 : 8;
  const uint32_t length = layers.end - layers.l4;
  return AddWords(frame.subspan(at, size), layers.protocol() + length % 0x10000);
}

void AppendIpv4(Bytes& frame, const FrameSpec& spec, uint32_t l4_bytes) {
  const size_t at = frame.size();
  const uint32_t header = 20 + spec.ip_option_bytes;
  frame.push_back(static_cast<uint8_t>(0x40 + header / 4));
  frame.push_back(spec.tos);
  Append16(frame, header + l4_bytes);
  Append16(frame, spec.id);
  Append16(frame, spec.dont_fragment ? 0x4000 : 0);
  frame.push_back(spec.ttl);
  frame.push_back(spec.is_tcp ? 6 : 17);
  Append16(frame, 0);
  Append32(frame, 0x0a000001);
  Append32(frame, 0x0a000002);
  frame.insert(frame.end(), spec.ip_option_bytes, 1);
  const uint16_t sum = SlowChecksum(std::span(frame).subspan(at, header));
  frame[at + 10] = static_cast<uint8_t>(sum >> 8);
  frame[at + 11] = static_cast<uint8_t>(sum);
}

void AppendIpv6(Bytes& frame, const FrameSpec& spec, uint32_t l4_bytes) {
  const uint8_t protocol = spec.is_tcp ? 6 : 17;
  Append32(frame, 0x60000000 | static_cast<uint32_t>(spec.tos) << 20 | 0x12345);
  Append16(frame, spec.extension_bytes + l4_bytes);
  frame.push_back(spec.extension_bytes > 0 ? 60 : protocol);
  frame.push_back(spec.ttl);
  for (uint32_t i = 0; i < 8; i++) Append32(frame, 0xfd000000 + i);
  if (spec.extension_bytes == 0) return;
  frame.push_back(protocol);
  frame.push_back(static_cast<uint8_t>(spec.extension_bytes / 8 - 1));
  frame.push_back(1);
  frame.push_back(static_cast<uint8_t>(spec.extension_bytes - 4));
  frame.insert(frame.end(), spec.extension_bytes - 4, 0);
}

void AppendTransport(Bytes& frame, const FrameSpec& spec, uint32_t l4_bytes) {
  Append16(frame, spec.source_port);
  Append16(frame, spec.destination_port);
  if (!spec.is_tcp) {
    Append16(frame, l4_bytes);
    Append16(frame, 0);
    return;
  }
  Append32(frame, spec.sequence);
  Append32(frame, spec.acknowledgement);
  frame.push_back(static_cast<uint8_t>((20 + spec.tcp_option_bytes) / 4 << 4));
  frame.push_back(spec.flags);
  Append16(frame, spec.window);
  Append32(frame, 0);
  frame.insert(frame.end(), spec.tcp_option_bytes, 1);
}

}  // namespace

uint16_t SlowChecksum(std::span<const uint8_t> bytes, uint32_t start) {
  return static_cast<uint16_t>(~AddWords(bytes, start));
}

Bytes MakeFrame(const FrameSpec& spec) {
  Bytes frame;
  Append48(frame, spec.destination);
  Append48(frame, spec.source);
  for (int i = 0; i < spec.vlan_tags; i++) {
    Append16(frame, 0x8100);
    Append16(frame, 42 + static_cast<uint32_t>(i));
  }
  Append16(frame, spec.is_ipv6 ? 0x86dd : 0x0800);
  const uint32_t header = spec.is_tcp ? 20 + spec.tcp_option_bytes : 8;
  const uint32_t l4_bytes = header + spec.payload_bytes;
  (spec.is_ipv6 ? AppendIpv6 : AppendIpv4)(frame, spec, l4_bytes);
  const size_t l4 = frame.size();
  AppendTransport(frame, spec, l4_bytes);
  for (uint32_t i = 0; i < spec.payload_bytes; i++) {
    frame.push_back(static_cast<uint8_t>(i * 7 + spec.fill));
  }
  const Layers layers = ParseFrame(frame);
  const uint32_t pseudo = PseudoHeader(frame, layers);
  uint16_t sum = static_cast<uint16_t>(pseudo);
  if (!spec.is_partial) {
    sum = SlowChecksum(std::span(frame).subspan(l4), pseudo);
    if (sum == 0) sum = 0xffff;
  }
  StoreBe16(frame.data() + l4 + (spec.is_tcp ? 16 : 6), sum);
  return frame;
}

VnetHeader OffloadHeader(const FrameSpec& spec, uint16_t gso_size) {
  const Layers layers = ParseFrame(MakeFrame(spec));
  VnetHeader vnet;
  vnet.flags = kVnetNeedsChecksum;
  if (gso_size > 0) vnet.gso_type = !spec.is_tcp ? kGsoUdp : spec.is_ipv6 ? kGsoTcp6 : kGsoTcp4;
  vnet.gso_size = gso_size;
  vnet.header_bytes = layers.payload;
  vnet.checksum_start = layers.l4;
  vnet.checksum_offset = spec.is_tcp ? 16 : 6;
  return vnet;
}

bool HasRightChecksums(std::span<const uint8_t> frame) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports()) return false;
  if (!layers.is_ipv6) {
    const uint32_t header = frame[layers.l3] % 16 * 4U;
    if (SlowChecksum(frame.subspan(layers.l3, header)) != 0) return false;
  }
  const auto l4 = frame.subspan(layers.l4, layers.end - layers.l4);
  return SlowChecksum(l4, PseudoHeader(frame, layers)) == 0;
}

std::span<const uint8_t> PayloadOf(std::span<const uint8_t> frame) {
  const Layers layers = ParseFrame(frame);
  return frame.subspan(layers.payload, layers.end - layers.payload);
}

}  // namespace weft::test
