#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "checksum.hpp"
#include "packet.hpp"

// Congestion marks and classes of inner and outer packets (RFC 6040, RFC 2983): the outer header
// begins as a copy of the inner one's byte (DSCP and ECN), and what the underlay marked is marked
// inside when the outer header is taken off. The inner DSCP is left as it was.
namespace weft::ecn {

// RFC 3168 §5.
constexpr uint8_t kNotEct = 0;
constexpr uint8_t kEct1 = 1;
constexpr uint8_t kEct0 = 2;
constexpr uint8_t kCe = 3;
constexpr uint8_t kMask = 3;

constexpr uint8_t kDrop = 0xff;

// RFC 6040 §4.2: the packet's mark by the inner one (row) and the outer one (column).
constexpr std::array<std::array<uint8_t, 4>, 4> kCombined = {{
    //            not-ECT  ECT(1)   ECT(0)   CE
    /* not-ECT */ {kNotEct, kNotEct, kNotEct, kDrop},
    /* ECT(1) */ {kEct1, kEct1, kEct1, kCe},
    /* ECT(0) */ {kEct0, kEct1, kEct0, kCe},
    /* CE */ {kCe, kCe, kCe, kCe},
}};

// Whether an outer header with this byte can change anything: not-ECT and ECT(0) never do.
constexpr bool Concerns(uint8_t outer_tos) { return (outer_tos & 1) != 0; }

// DSCP and ECN of a frame's IP packet; 0 of what is not IP.
inline uint8_t TosOf(const uint8_t* frame, const Layers& layers) {
  if (layers.kind == FrameKind::kOther) return 0;
  const uint8_t* ip = frame + layers.l3;
  return layers.is_ipv6 ? static_cast<uint8_t>(LoadBe16(ip) >> 4) : ip[ipv4::kTos];
}

// Marks the packet in a frame as the outer header says. False if the frame must be dropped: it
// asked for drops in place of marks, and was marked all the same. What is not IP stays as it is.
inline bool Combine(std::span<uint8_t> frame, uint8_t outer_tos) {
  const Layers layers = ParseFrame(frame);
  if (layers.kind == FrameKind::kOther) return true;
  const uint8_t inner = TosOf(frame.data(), layers) & kMask;
  const uint8_t combined = kCombined[inner][outer_tos & kMask];
  if (combined == kDrop) return false;
  if (combined == inner) return true;
  uint8_t* ip = frame.data() + layers.l3;
  if (layers.is_ipv6) {
    ip[1] = static_cast<uint8_t>((ip[1] & ~(kMask << 4)) | combined << 4);
    return true;
  }
  // RFC 1624: only this word of the header has changed, whether its checksum was right or not.
  const auto before = static_cast<uint16_t>(~LoadNative<uint16_t>(ip));
  ip[ipv4::kTos] = static_cast<uint8_t>((ip[ipv4::kTos] & ~kMask) | combined);
  const auto checksum = static_cast<uint16_t>(~LoadNative<uint16_t>(ip + ipv4::kChecksum));
  const ChecksumSum sum = ChecksumSum{checksum} + before + LoadNative<uint16_t>(ip);
  StoreNative(ip + ipv4::kChecksum, FinishHeaderSum(sum));
  return true;
}

}  // namespace weft::ecn
