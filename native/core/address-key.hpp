#pragma once

#include <cstdint>

#include "endian.hpp"

namespace weft {

// An IP address as a key: an IPv4 address is the low 32 bits of `low`, with a mark in `high` that
// no IPv6 unicast address has.
struct AddressKey {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const AddressKey&) const = default;
};

// No IPv6 unicast address begins with ff (RFC 4291 §2.4).
constexpr uint64_t kIpv4Mark = 0xff00000000000000;

constexpr AddressKey KeyOfIpv4(uint32_t address) { return {kIpv4Mark, address}; }
// Of the 16 bytes that stand there.
inline AddressKey KeyOfIpv6(const uint8_t* at) { return {LoadBe64(at), LoadBe64(at + 8)}; }

}  // namespace weft
