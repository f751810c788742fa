#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/packet.hpp"
#include "../core/vnet.hpp"

// Frames for the tests, built field by field and with checksums of their own: nothing here uses the
// code under test but the byte order helpers and the names of offsets.
namespace weft::test {

using Bytes = std::vector<uint8_t>;

struct FrameSpec {
  bool is_ipv6 = false;
  bool is_tcp = true;
  int vlan_tags = 0;
  uint32_t ip_option_bytes = 0;   // multiple of 4; IPv4
  uint32_t extension_bytes = 0;   // multiple of 8; IPv6 destination options
  uint32_t tcp_option_bytes = 0;  // multiple of 4
  uint8_t tos = 0;
  uint8_t ttl = 64;
  uint16_t id = 1;
  bool dont_fragment = true;
  uint16_t source_port = 1000;
  uint16_t destination_port = 2000;
  uint32_t sequence = 1;
  uint32_t acknowledgement = 7;
  uint16_t window = 500;
  uint8_t flags = tcp::kAck;
  uint32_t payload_bytes = 100;
  uint8_t fill = 0;
  // Leaves the folded pseudo-header sum in the checksum field, as a sender with offloads does.
  bool is_partial = false;
  uint64_t source = 0x020000000001;
  uint64_t destination = 0x020000000002;
};

Bytes MakeFrame(const FrameSpec& spec);

// The vnet header that a kernel with offloads puts before such a (super-)frame.
VnetHeader OffloadHeader(const FrameSpec& spec, uint16_t gso_size);

// Byte by byte, big-endian, in 32 bits: the obvious checksum.
uint16_t SlowChecksum(std::span<const uint8_t> bytes, uint32_t start = 0);

// Whether IP and transport checksums of a frame are right.
bool HasRightChecksums(std::span<const uint8_t> frame);

std::span<const uint8_t> PayloadOf(std::span<const uint8_t> frame);

}  // namespace weft::test
