#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "address-key.hpp"
#include "endian.hpp"

// What a host passes on for two others that can't reach each other (docs/wire-format.md).
// Big-endian.
//
//   0       8               16             32
//   | 0x30  |   hop limit   | reserved, 0   |
//   |                                       |
//   |                tag (64)               |   the first 8 bytes of the destination's host id
//   |           datagram ...                |   sealed end to end, of any kind but this one
//
// The last relay takes the header off.
namespace weft::relay {

constexpr uint32_t kHeaderBytes = 12;
constexpr uint8_t kKind = 0x30;
constexpr uint8_t kLastKind = 0x37;
constexpr uint32_t kKindAt = 0;
constexpr uint32_t kHopLimitAt = 1;
constexpr uint32_t kTagAt = 4;
constexpr uint8_t kHopLimit = 16;

constexpr bool IsRelayed(uint8_t first_byte) {
  return first_byte >= kKind && first_byte <= kLastKind;
}

inline void WriteHeader(uint8_t* at, uint64_t tag) {
  StoreBe32(at, uint32_t{kKind} << 24 | uint32_t{kHopLimit} << 16);
  StoreBe64(at + kTagAt, tag);
}

// Whether this is a header with a datagram behind it that a relay may carry. One within another
// would let a sender choose how often relays pass a datagram to and fro.
inline bool IsWellFormed(std::span<const uint8_t> datagram) {
  return datagram.size() > kHeaderBytes && datagram[kKindAt] == kKind &&
         !IsRelayed(datagram[kHeaderBytes]);
}

// Control that came by a relay names its sender in front of the datagram (src/link/relayed.ts).
constexpr uint8_t kControlKind = 0x52;
constexpr uint32_t kControlHeaderBytes = 9;

// A control datagram, or the one that a relay has brought in it.
inline std::span<const uint8_t> WithoutHeader(std::span<const uint8_t> datagram) {
  const bool is_relayed = datagram[0] == kControlKind && datagram.size() > kControlHeaderBytes;
  return is_relayed ? datagram.subspan(kControlHeaderBytes) : datagram;
}

// The underlay addresses of hosts that relay for us or let us relay for them. Never changed once
// made; O(log n).
class Peers {
 public:
  explicit Peers(std::vector<AddressKey> addresses) : addresses_(std::move(addresses)) {
    std::sort(addresses_.begin(), addresses_.end(), Less);
  }

  bool Has(const AddressKey& address) const {
    return std::binary_search(addresses_.begin(), addresses_.end(), address, Less);
  }

 private:
  static bool Less(const AddressKey& a, const AddressKey& b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
  }

  std::vector<AddressKey> addresses_;
};

}  // namespace weft::relay
