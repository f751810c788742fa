#pragma once

#include <cstddef>
#include <cstdint>

#include "endian.hpp"

// The Internet checksum (RFC 1071). A running sum adds 16-bit words as they lie in memory, whatever
// this processor's byte order: the folded result is then stored as it is (RFC 1071 §2 (B)).
namespace weft {

using ChecksumSum = uint64_t;

// Adds `size` bytes to `start`. A piece of odd length may only come last.
ChecksumSum SumBytes(const uint8_t* at, size_t size, ChecksumSum start = 0);

// The 16-bit one's complement sum.
constexpr uint16_t FoldSum(ChecksumSum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// What goes into a transport checksum field. Zero is sent as its twin 0xffff, because a zero UDP
// checksum means "none" (RFC 768); to a receiver of TCP the two are equal.
constexpr uint16_t FinishSum(ChecksumSum sum) {
  const uint16_t folded = FoldSum(sum);
  return folded == 0xffff ? uint16_t{0xffff} : static_cast<uint16_t>(~folded);
}

// What goes into an IPv4 header: zero stays zero, which routers that update a checksum step by step
// rely on (RFC 1624 §3).
constexpr uint16_t FinishHeaderSum(ChecksumSum sum) { return static_cast<uint16_t>(~FoldSum(sum)); }

// Sum of the pseudo header (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1). `addresses` points at the
// source address, which the destination follows: 8 bytes of IPv4, 32 of IPv6.
inline ChecksumSum PseudoHeaderSum(const uint8_t* addresses, bool is_ipv6, uint8_t protocol,
                                   uint16_t length) {
  const ChecksumSum fixed = ChecksumSum{BigEndian16(protocol)} + BigEndian16(length);
  return SumBytes(addresses, is_ipv6 ? 32 : 8, fixed);
}

}  // namespace weft
