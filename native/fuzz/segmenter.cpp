// A virtio-net header and a super-frame, as a container with a forged driver may hand them over.
//
//   | vnet header 10 | mtu 2 | stretch 1 | frame ... |   the frame's last byte is repeated
//                                                        stretch × 256 times
#include "../core/segmenter.hpp"

#include <vector>

#include "input.hpp"

namespace weft {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Segment(const SegmentPlan& plan, uint32_t index, ChecksumMode mode) {
  // Of the exact size, so that the address sanitizer sees a byte too many.
  Bytes frame(plan.header_bytes);
  uint8_t none;
  const auto payload = WriteSegment(plan, index, mode, frame.empty() ? &none : frame.data());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

void CheckSegment(const SegmentPlan& plan, const Bytes& whole, const Bytes& partial, uint32_t mtu) {
  CHECK(whole.size() == partial.size());
  CHECK(whole.size() <= MaxFrameBytes(whole.data(), mtu));
  // Elsewhere a sender may have a sum written to any place, and so make the frame another one.
  if (!plan.can_stay_partial()) return;
  const Layers layers = ParseFrame(whole);
  CHECK(layers.kind == plan.layers.kind && layers.l4 == plan.layers.l4);
  // Whoever completes a partial checksum gets the one that we would have sent whole.
  const ChecksumSum sum = SumBytes(partial.data() + layers.l4, partial.size() - layers.l4);
  const uint32_t at = uint32_t{layers.l4} + layers.checksum_offset();
  CHECK(FinishSum(sum) == LoadNative<uint16_t>(whole.data() + at));
  if (!plan.is_segmented || layers.is_ipv6) return;
  const uint32_t header = uint32_t{whole[layers.l3]} % 16 * 4;
  CHECK(FoldSum(SumBytes(whole.data() + layers.l3, header)) == 0xffff);
}

// Written where the payload lies, one after the other, the segments are the same.
void CheckInPlace(SegmentPlan plan, Bytes frame) {
  plan.headers = plan.frame;
  plan.frame = frame.data();
  for (uint32_t i = 0; i < plan.count; i++) {
    SegmentPlan untouched = plan;
    untouched.frame = plan.headers;
    const Bytes expected = Segment(untouched, i, ChecksumMode::kWhole);
    uint8_t* at = frame.data() + (PlaceOf(plan, i) - plan.frame);
    WriteSegment(plan, i, ChecksumMode::kWhole, at);
    CHECK(std::equal(expected.begin(), expected.end(), at));
  }
}

void CheckPlan(const SegmentPlan& plan, const Bytes& frame, uint32_t mtu) {
  Bytes payload;
  uint64_t total = 0;
  for (uint32_t i = 0; i < plan.count; i++) {
    const Bytes whole = Segment(plan, i, ChecksumMode::kWhole);
    CheckSegment(plan, whole, Segment(plan, i, ChecksumMode::kPartial), mtu);
    total += whole.size();
    payload.insert(payload.end(), whole.begin() + plan.header_bytes, whole.end());
  }
  CheckInPlace(plan, frame);
  CHECK(total == plan.total_bytes());
  CHECK(std::equal(payload.begin(), payload.end(), frame.begin() + plan.header_bytes, frame.end()));
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  fuzz::Input input(data, size);
  VnetHeader vnet;
  const auto header = input.Take(kMinVnetBytes);
  std::copy(header.begin(), header.end(), reinterpret_cast<uint8_t*>(&vnet));
  const uint32_t mtu = 68 + input.Word() % 9000;
  const size_t stretch = size_t{input.Byte()} * 256;
  const auto rest = input.Take(65536);
  if (rest.size() < kEthernetBytes) return 0;
  Bytes frame(rest.begin(), rest.end());
  frame.resize(std::min<size_t>(frame.size() + stretch, 65550), frame.back());
  SegmentPlan plan;
  if (PlanSegments(vnet, frame, mtu, plan) == PlanResult::kOk) CheckPlan(plan, frame, mtu);
  return 0;
}
