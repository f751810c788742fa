#pragma once

#include <cstdint>

#include "endian.hpp"

// The VXLAN header (RFC 7348 §5), big-endian.
//
//   0       8                      24      32
//   | flags |       reserved      |P|          flags: I (0x08) must be set
//   |          VNI (24)           |  res  |    64 bits in all
//
// P (0x01 of the fourth byte) is Weft's own: the inner TCP or UDP checksum field holds the folded
// pseudo-header sum and the receiver completes it. It is set only toward VTEPs whose host announced
// that it understands P, and read only from such; everyone else sees the RFC's header.
namespace weft::vxlan {

constexpr uint32_t kHeaderBytes = 8;
constexpr uint8_t kFlagI = 0x08;
constexpr uint8_t kFlagPartial = 0x01;
constexpr uint32_t kFlagsAt = 0;
constexpr uint32_t kPartialAt = 3;
constexpr uint32_t kVniAt = 4;

inline void WriteHeader(uint8_t* at, uint32_t vni, bool is_partial) {
  StoreBe32(at, uint32_t{kFlagI} << 24 | (is_partial ? kFlagPartial : 0U));
  StoreBe32(at + kVniAt, vni << 8);
}

}  // namespace weft::vxlan
