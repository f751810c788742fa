#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <span>

#include "address-key.hpp"
#include "endian.hpp"
#include "tables.hpp"

// Frames of sealed networks in the clear, between two hosts that have agreed on it for the
// addresses that they go from and to (docs/adr/0059), on the mesh port. Big-endian.
//
//   0       8                              32
//   | 0 0 1 0 | 0 0 1 P |     VNI (24)      |   kind: 0x22, or 0x23 with P
//   |          receiver index (32)          |   of the key that would have sealed it
//   |     Ethernet frame ...                |
//
// P as in sealed frames.
namespace weft {

namespace unsealed {

constexpr uint32_t kHeaderBytes = 8;
constexpr uint8_t kKind = 0x22;
constexpr uint8_t kFlagPartial = 0x01;
constexpr uint32_t kKindAt = 0;
constexpr uint32_t kVniAt = 1;
constexpr uint32_t kIndexAt = 4;

constexpr bool IsUnsealed(uint8_t first_byte) {
  return (first_byte & static_cast<uint8_t>(~kFlagPartial)) == kKind;
}

inline void WriteHeader(uint8_t* at, uint32_t vni, uint32_t index, bool is_partial) {
  at[kKindAt] = static_cast<uint8_t>(kKind | (is_partial ? kFlagPartial : 0));
  StoreBe24(at + kVniAt, vni);
  StoreBe32(at + kIndexAt, index);
}

}  // namespace unsealed

// The addresses and UDP ports from which a peer's frames are taken unsealed; none at first. Changed
// between batches.
class UnsealedSources {
 public:
  static constexpr size_t kMax = 8;

  UnsealedSources() = default;
  explicit UnsealedSources(std::span<const SocketAddress> sources) {
    assert(sources.size() <= kMax);
    for (const SocketAddress& source : sources) sources_[count_++] = SourceOf(source.storage);
  }

  bool is_empty() const { return count_ == 0; }

  bool Has(const sockaddr_storage& from) const {
    const Source wanted = SourceOf(from);
    for (uint32_t i = 0; i < count_; i++) {
      if (sources_[i] == wanted) return true;
    }
    return false;
  }

 private:
  struct Source {
    AddressKey address;
    in_port_t port = 0;
    bool operator==(const Source&) const = default;
  };

  static Source SourceOf(const sockaddr_storage& address) {
    // sin_port and sin6_port lie at the same offset.
    return {KeyOf(address), reinterpret_cast<const sockaddr_in*>(&address)->sin_port};
  }

  std::array<Source, kMax> sources_{};
  uint32_t count_ = 0;
};

}  // namespace weft
