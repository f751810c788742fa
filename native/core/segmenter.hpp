#pragma once

#include <cstdint>
#include <span>

#include "checksum.hpp"
#include "packet.hpp"
#include "vnet.hpp"

// Cuts a super-frame that a TAP device handed over (TCP over IPv4 or IPv6, or UDP) into the frames
// that an interface without offloads would have sent, and completes checksums that were left to the
// hardware. Nothing is allocated, and payload is never copied.
namespace weft {

// What happens to a transport checksum that the sender left unfinished.
enum class ChecksumMode : uint8_t {
  kWhole,    // computed here: any receiver takes the frame
  kPartial,  // the field keeps the folded pseudo-header sum; the receiver must know
};

// Headers longer than this, from the first byte of the frame, are refused: two VLAN tags with all
// the options that IPv4 and TCP may have take 142 bytes, which leaves IPv6 room for extensions.
constexpr uint32_t kMaxHeaderBytes = 256;

// Frames that one super-frame may become: 65535 bytes at the kernel's smallest TCP segment (48).
constexpr uint32_t kMaxSegmentsPerFrame = 1366;

enum class PlanResult : uint8_t {
  kOk,
  kInvalid,  // the vnet header contradicts the frame
  kTooLong,  // a resulting frame would be over the limit
};

// A checked recipe. Valid as long as the frame's bytes are.
struct SegmentPlan {
  const uint8_t* frame = nullptr;
  uint32_t frame_bytes = 0;
  // The frame's first header_bytes: those in the frame, or a copy by somebody who overwrites them.
  const uint8_t* headers = nullptr;
  Layers layers;
  // Bytes rewritten for each segment; the payload follows. Zero for a frame sent as it is.
  uint32_t header_bytes = 0;
  uint32_t segment_payload = 0;
  uint32_t count = 1;
  bool is_segmented = false;
  // The checksum at checksum_at, over [checksum_start, end), is unfinished.
  bool needs_checksum = false;
  uint32_t checksum_start = 0;
  uint32_t checksum_at = 0;

  // A partial checksum may stay so only where the receiver finds the field by itself.
  bool can_stay_partial() const {
    return needs_checksum && layers.has_ports() && checksum_start == layers.l4 &&
           checksum_at == uint32_t{layers.l4} + layers.checksum_offset();
  }
  // Bytes of all the frames together.
  uint64_t total_bytes() const { return frame_bytes + uint64_t{count - 1} * header_bytes; }
};

// `mtu` is the network's: each resulting frame must fit it.
PlanResult PlanSegments(const VnetHeader& vnet, std::span<const uint8_t> frame, uint32_t mtu,
                        SegmentPlan& plan);

// Writes the headers of segment `index` to `header` (room for plan.header_bytes) and returns the
// payload that follows them, inside the frame. With a copy of the headers in the plan, `header` may
// be the bytes before the payload (PlaceOf), one segment after the other.
std::span<const uint8_t> WriteSegment(const SegmentPlan& plan, uint32_t index, ChecksumMode mode,
                                      uint8_t* header);

// Where in the frame a segment's headers and payload lie in one piece, once those are written
// there.
inline const uint8_t* PlaceOf(const SegmentPlan& plan, uint32_t index) {
  return plan.frame + size_t{index} * plan.segment_payload;
}

}  // namespace weft
