#include "segmenter.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace weft {
namespace {

// Checks a super-frame's claims against what its bytes say.
bool PlanGso(const VnetHeader& vnet, SegmentPlan& plan) {
  const uint8_t type = vnet.gso_type & static_cast<uint8_t>(~kGsoEcn);
  const Layers& layers = plan.layers;
  const bool fits_type = (type == kGsoTcp4 && layers.kind == FrameKind::kTcp && !layers.is_ipv6) ||
                         (type == kGsoTcp6 && layers.kind == FrameKind::kTcp && layers.is_ipv6) ||
                         (type == kGsoUdp && layers.kind == FrameKind::kUdp);
  if (!fits_type || vnet.gso_size == 0 || layers.end != plan.frame_bytes ||
      layers.payload > kMaxHeaderBytes || !plan.can_stay_partial()) {
    return false;
  }
  const uint32_t payload = plan.frame_bytes - layers.payload;
  plan.is_segmented = true;
  plan.header_bytes = layers.payload;
  plan.segment_payload = vnet.gso_size;
  plan.count = std::max(1U, (payload + vnet.gso_size - 1) / vnet.gso_size);
  return plan.count <= kMaxSegmentsPerFrame;
}

bool PlanChecksum(const VnetHeader& vnet, SegmentPlan& plan) {
  plan.checksum_start = vnet.checksum_start;
  plan.checksum_at = uint32_t{vnet.checksum_start} + vnet.checksum_offset;
  plan.needs_checksum = true;
  plan.header_bytes = plan.checksum_at + 2;
  return plan.checksum_start >= kEthernetBytes && plan.header_bytes <= plan.frame_bytes &&
         plan.header_bytes <= kMaxHeaderBytes;
}

uint32_t LongestFrame(const SegmentPlan& plan) {
  return plan.is_segmented ? std::min(plan.frame_bytes, plan.header_bytes + plan.segment_payload)
                           : plan.frame_bytes;
}

void WriteIpHeader(const SegmentPlan& plan, uint32_t index, uint32_t packet_bytes, uint8_t* ip) {
  if (plan.layers.is_ipv6) {
    StoreBe16(ip + ipv6::kPayloadLength, static_cast<uint16_t>(packet_bytes - kIpv6Bytes));
    return;
  }
  const uint32_t header = uint32_t{ip[ipv4::kVersionLength]} % 16 * 4;
  StoreBe16(ip + ipv4::kTotalLength, static_cast<uint16_t>(packet_bytes));
  const uint16_t id = LoadBe16(ip + ipv4::kId);
  StoreBe16(ip + ipv4::kId, static_cast<uint16_t>(id + index));
  StoreNative<uint16_t>(ip + ipv4::kChecksum, 0);
  StoreNative(ip + ipv4::kChecksum, FinishHeaderSum(SumBytes(ip, header)));
}

void WriteTransportHeader(const SegmentPlan& plan, uint32_t index, uint32_t l4_bytes, uint8_t* l4) {
  if (plan.layers.kind == FrameKind::kUdp) {
    StoreBe16(l4 + udp::kLength, static_cast<uint16_t>(l4_bytes));
    return;
  }
  const uint32_t sequence = LoadBe32(l4 + tcp::kSequence);
  StoreBe32(l4 + tcp::kSequence, sequence + index * plan.segment_payload);
  // RFC 3168 §6.1.2: one congestion answer. End and push belong to the last byte.
  if (index > 0) l4[tcp::kFlags] &= static_cast<uint8_t>(~tcp::kCwr);
  if (index + 1 < plan.count) l4[tcp::kFlags] &= static_cast<uint8_t>(~(tcp::kFin | tcp::kPsh));
}

// The pseudo-header sum that the sender left in the field, moved from the super-frame's length to
// this segment's. Unlike a sum over the addresses it is right behind an IPv6 routing header too.
uint16_t SegmentPseudoSum(const SegmentPlan& plan, uint32_t l4_bytes) {
  const uint32_t whole = plan.frame_bytes - plan.layers.l4;
  const auto old_length = static_cast<uint16_t>(~BigEndian16(static_cast<uint16_t>(whole)));
  const ChecksumSum sum = ChecksumSum{LoadNative<uint16_t>(plan.headers + plan.checksum_at)} +
                          old_length + BigEndian16(static_cast<uint16_t>(l4_bytes));
  return FoldSum(sum);
}

// Fills the checksum field, which holds the pseudo-header sum, over the headers from checksum_start
// and the payload behind them.
void FinishChecksum(const SegmentPlan& plan, uint8_t* header, std::span<const uint8_t> payload) {
  const ChecksumSum head =
      SumBytes(header + plan.checksum_start, plan.header_bytes - plan.checksum_start);
  // The headers of TCP and UDP are of even length, so the payload's words stay aligned.
  const ChecksumSum sum = SumBytes(payload.data(), payload.size(), head);
  StoreNative(header + plan.checksum_at, FinishSum(sum));
}

std::span<const uint8_t> WriteWhole(const SegmentPlan& plan, ChecksumMode mode, uint8_t* header) {
  const std::span payload(plan.frame + plan.header_bytes, plan.frame_bytes - plan.header_bytes);
  std::memcpy(header, plan.headers, plan.header_bytes);
  if (!plan.needs_checksum || (mode == ChecksumMode::kPartial && plan.can_stay_partial())) {
    return payload;
  }
  // One piece: the field may end at an odd distance from where the sum starts.
  const ChecksumSum sum =
      SumBytes(plan.frame + plan.checksum_start, plan.frame_bytes - plan.checksum_start);
  StoreNative(header + plan.checksum_at, FinishSum(sum));
  return payload;
}

}  // namespace

PlanResult PlanSegments(const VnetHeader& vnet, std::span<const uint8_t> frame, uint32_t mtu,
                        SegmentPlan& plan) {
  assert(frame.size() >= kEthernetBytes);
  plan = SegmentPlan{};
  plan.frame = frame.data();
  plan.headers = frame.data();
  plan.frame_bytes = static_cast<uint32_t>(frame.size());
  plan.layers = ParseFrame(frame);
  const bool needs_checksum = (vnet.flags & kVnetNeedsChecksum) != 0;
  if (needs_checksum && !PlanChecksum(vnet, plan)) return PlanResult::kInvalid;
  if (vnet.gso_type != kGsoNone && !PlanGso(vnet, plan)) return PlanResult::kInvalid;
  return LongestFrame(plan) > MaxFrameBytes(plan.frame, mtu) ? PlanResult::kTooLong
                                                             : PlanResult::kOk;
}

std::span<const uint8_t> WriteSegment(const SegmentPlan& plan, uint32_t index, ChecksumMode mode,
                                      uint8_t* header) {
  if (!plan.is_segmented) return WriteWhole(plan, mode, header);
  const Layers& layers = plan.layers;
  const uint32_t offset = index * plan.segment_payload;
  const uint32_t bytes =
      std::min(plan.segment_payload, plan.frame_bytes - plan.header_bytes - offset);
  const std::span payload(plan.frame + plan.header_bytes + offset, bytes);
  const uint32_t segment_bytes = plan.header_bytes + bytes;
  const uint32_t l4_bytes = segment_bytes - layers.l4;
  std::memcpy(header, plan.headers, plan.header_bytes);
  WriteIpHeader(plan, index, segment_bytes - layers.l3, header + layers.l3);
  WriteTransportHeader(plan, index, l4_bytes, header + layers.l4);
  StoreNative(header + plan.checksum_at, SegmentPseudoSum(plan, l4_bytes));
  if (mode == ChecksumMode::kWhole) FinishChecksum(plan, header, payload);
  return payload;
}

}  // namespace weft
