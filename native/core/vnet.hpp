#pragma once

#include <cstdint>

// The virtio-net header that precedes each frame on a TAP opened with IFF_VNET_HDR (virtio 1.2
// §5.1.6, in this processor's byte order). A 12-byte form adds `buffers`, which TAP ignores.
//
//   | flags 8 | gso_type 8 | header_bytes 16 | gso_size 16 | checksum_start 16 | checksum_offset 16
//   |
namespace weft {

struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_bytes = 0;
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
  uint16_t buffers = 0;
};
static_assert(sizeof(VnetHeader) == 12);

constexpr uint32_t kMinVnetBytes = 10;
constexpr uint32_t kMaxVnetBytes = sizeof(VnetHeader);

constexpr uint8_t kVnetNeedsChecksum = 1;
constexpr uint8_t kVnetDataValid = 2;

constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcp4 = 1;
constexpr uint8_t kGsoTcp6 = 4;
constexpr uint8_t kGsoUdp = 5;
constexpr uint8_t kGsoEcn = 0x80;

}  // namespace weft
