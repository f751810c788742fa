#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "packet.hpp"

// Tells a station that its packet is longer than its network takes: "fragmentation needed" of IPv4
// (RFC 792, RFC 1191 §4) and "packet too big" of IPv6 (RFC 4443 §3.2). As Linux does where it
// bridges into a tunnel, the message comes from the address that the packet was sent to, as there
// is no router with an address of its own. src/dataplane/too-big.ts is its twin.
namespace weft {

// Of the original packet: so much that the message is no longer than every host takes.
constexpr uint32_t kMaxIpv4Error = 576;
constexpr uint32_t kMaxIpv6Error = 1280;
constexpr uint32_t kMaxTooBigBytes = kEthernetBytes + kMaxIpv6Error;

// Writes the message about an untagged frame, of which at least the headers are there, to `answer`
// (room for kMaxTooBigBytes). Returns its bytes, or 0 where no message may be sent: to and about
// groups, fragments behind the first, and errors (RFC 1122 §3.2.2, RFC 4443 §2.4).
uint32_t WriteTooBig(std::span<const uint8_t> frame, uint32_t mtu, uint8_t* answer);

}  // namespace weft
