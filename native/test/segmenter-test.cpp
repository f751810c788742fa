#include "../core/segmenter.hpp"

#include <algorithm>
#include <cstring>

#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint32_t kMtu = 1400;

// As the forwarder seals them: each written where its payload lies, over what is done with.
std::vector<Bytes> SegmentInPlace(const VnetHeader& vnet, Bytes frame, ChecksumMode mode,
                                  uint32_t mtu) {
  SegmentPlan plan;
  CHECK(PlanSegments(vnet, frame, mtu, plan) == PlanResult::kOk);
  const Bytes headers = frame;
  plan.headers = headers.data();
  std::vector<Bytes> segments;
  for (uint32_t i = 0; i < plan.count; i++) {
    uint8_t* at = frame.data() + (PlaceOf(plan, i) - plan.frame);
    const auto payload = WriteSegment(plan, i, mode, at);
    CHECK(payload.data() == at + plan.header_bytes);
    segments.emplace_back(at, at + plan.header_bytes + payload.size());
  }
  return segments;
}

std::vector<Bytes> Segment(const VnetHeader& vnet, const Bytes& frame,
                           ChecksumMode mode = ChecksumMode::kWhole, uint32_t mtu = kMtu) {
  SegmentPlan plan;
  CHECK(PlanSegments(vnet, frame, mtu, plan) == PlanResult::kOk);
  std::vector<Bytes> segments;
  uint64_t total = 0;
  for (uint32_t i = 0; i < plan.count; i++) {
    Bytes segment(kMaxHeaderBytes);
    const auto payload = WriteSegment(plan, i, mode, segment.data());
    segment.resize(plan.header_bytes);
    segment.insert(segment.end(), payload.begin(), payload.end());
    total += segment.size();
    segments.push_back(segment);
  }
  CHECK(total == plan.total_bytes());
  CHECK(segments == SegmentInPlace(vnet, frame, mode, mtu));
  return segments;
}

PlanResult Plan(const VnetHeader& vnet, const Bytes& frame) {
  SegmentPlan plan;
  return PlanSegments(vnet, frame, kMtu, plan);
}

// What a sender without offloads would have sent for the same bytes.
std::vector<Bytes> Expected(FrameSpec spec, uint32_t size) {
  const Bytes whole = MakeFrame(spec);
  const auto payload = PayloadOf(whole);
  std::vector<Bytes> frames;
  const uint32_t count = (spec.payload_bytes + size - 1) / size;
  const uint32_t total = spec.payload_bytes;
  const uint8_t flags = spec.flags;
  const uint8_t fill = spec.fill;
  spec.is_partial = false;
  for (uint32_t i = 0; i < count; i++) {
    spec.payload_bytes = std::min(size, total - i * size);
    spec.fill = static_cast<uint8_t>(fill + i * size * 7);
    spec.flags = flags;
    if (i > 0) spec.flags &= static_cast<uint8_t>(~tcp::kCwr);
    if (i + 1 < count) spec.flags &= static_cast<uint8_t>(~(tcp::kFin | tcp::kPsh));
    frames.push_back(MakeFrame(spec));
    spec.id++;
    spec.sequence += spec.payload_bytes;
  }
  CHECK(payload.size() == total);
  return frames;
}

FrameSpec SuperFrame() {
  FrameSpec spec;
  spec.payload_bytes = 10000;
  spec.tcp_option_bytes = 12;
  spec.is_partial = true;
  spec.flags = tcp::kAck | tcp::kPsh | tcp::kFin | tcp::kCwr;
  spec.sequence = 0xfffff000;  // wraps within the frame
  spec.id = 0xfffd;
  return spec;
}

TEST(segments_are_what_a_sender_without_offloads_sends) {
  for (const bool is_tcp : {true, false}) {
    for (const bool is_ipv6 : {true, false}) {
      for (const int tags : {0, 1, 2}) {
        FrameSpec spec = SuperFrame();
        spec.is_tcp = is_tcp;
        spec.is_ipv6 = is_ipv6;
        spec.vlan_tags = tags;
        spec.ip_option_bytes = 8;
        spec.extension_bytes = 16;
        const auto segments = Segment(OffloadHeader(spec, 1300), MakeFrame(spec));
        CHECK(segments == Expected(spec, 1300));
        CHECK(segments.size() == 8);
        for (const Bytes& segment : segments) CHECK(HasRightChecksums(segment));
      }
    }
  }
}

TEST(segments_of_every_small_size_add_up) {
  for (uint16_t size = 1; size < 80; size++) {
    FrameSpec spec = SuperFrame();
    spec.payload_bytes = 331;
    CHECK(Segment(OffloadHeader(spec, size), MakeFrame(spec)) == Expected(spec, size));
  }
}

TEST(partial_segments_hold_their_own_pseudo_header_sum) {
  FrameSpec spec = SuperFrame();
  const auto segments = Segment(OffloadHeader(spec, 1300), MakeFrame(spec), ChecksumMode::kPartial);
  FrameSpec first = spec;
  first.payload_bytes = 1300;
  first.flags = tcp::kAck | tcp::kCwr;
  CHECK(segments[0] == MakeFrame(first));
}

TEST(a_plain_frame_passes_untouched) {
  FrameSpec spec;
  const Bytes frame = MakeFrame(spec);
  CHECK(Segment(VnetHeader{}, frame) == std::vector<Bytes>{frame});
}

TEST(an_unfinished_checksum_is_completed) {
  for (const bool is_tcp : {true, false}) {
    FrameSpec spec;
    spec.is_tcp = is_tcp;
    spec.is_partial = true;
    spec.payload_bytes = 333;
    const auto segments = Segment(OffloadHeader(spec, 0), MakeFrame(spec));
    spec.is_partial = false;
    CHECK(segments == std::vector<Bytes>{MakeFrame(spec)});
  }
}

TEST(forged_super_frames_are_refused) {
  FrameSpec spec = SuperFrame();
  const Bytes frame = MakeFrame(spec);
  const VnetHeader good = OffloadHeader(spec, 1300);
  const auto with = [&](auto change) {
    VnetHeader vnet = good;
    change(vnet);
    return Plan(vnet, frame);
  };
  CHECK(Plan(good, frame) == PlanResult::kOk);
  CHECK(with([](auto& v) { v.gso_size = 0; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_type = kGsoTcp6; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_type = kGsoUdp; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_type = 3; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_type = kGsoEcn; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.flags = 0; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.checksum_start++; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.checksum_start = 0xffff; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.checksum_offset = 0xffff; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_size = 1; }) == PlanResult::kInvalid);
  CHECK(with([](auto& v) { v.gso_size = 1400; }) == PlanResult::kTooLong);
  Bytes cut = frame;
  cut.resize(frame.size() - 1);
  CHECK(Plan(good, cut) == PlanResult::kInvalid);
  cut.resize(kEthernetBytes);
  CHECK(Plan(good, cut) == PlanResult::kInvalid);
}

TEST(the_mtu_does_not_count_vlan_tags) {
  FrameSpec spec;
  spec.vlan_tags = 1;
  spec.payload_bytes = kMtu - 40;
  CHECK(Plan(VnetHeader{}, MakeFrame(spec)) == PlanResult::kOk);
  spec.payload_bytes++;
  CHECK(Plan(VnetHeader{}, MakeFrame(spec)) == PlanResult::kTooLong);
}

}  // namespace
}  // namespace weft::test
