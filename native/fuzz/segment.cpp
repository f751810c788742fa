// Any bytes as a frame with its virtio-net header, cut and joined again: nothing but what the vnet
// header claims may be refused, and no segment may be over the limit.
#include <cstdlib>
#include <cstring>

#include "../core/coalescer.hpp"
#include "../core/segmenter.hpp"
#include "../core/tables.hpp"

namespace {

constexpr uint32_t kMtu = 1400;

class Sink final : public weft::FrameSink {
 public:
  void WriteFrame(weft::Port&, const weft::VnetHeader&, std::span<iovec> pieces, uint32_t frames,
                  uint64_t) override {
    if (frames == 0 || pieces.size() < 2) std::abort();
    for (const iovec& piece : pieces.subspan(1)) {
      const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
      for (size_t i = 0; i < piece.iov_len; i++) read_ = static_cast<uint8_t>(read_ + bytes[i]);
    }
  }

 private:
  volatile uint8_t read_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < weft::kMinVnetBytes + weft::kEthernetBytes || size > 66000) return 0;
  weft::VnetHeader vnet;
  std::memcpy(static_cast<void*>(&vnet), data, weft::kMinVnetBytes);
  weft::SegmentPlan plan;
  const std::span frame(data + weft::kMinVnetBytes, size - weft::kMinVnetBytes);
  if (weft::PlanSegments(vnet, frame, kMtu, plan) != weft::PlanResult::kOk) return 0;
  Sink sink;
  weft::Port port;
  weft::Coalescer coalescer(sink, true);
  std::vector<std::vector<uint8_t>> segments(plan.count);
  for (uint32_t i = 0; i < plan.count; i++) {
    uint8_t header[weft::kMaxHeaderBytes];
    const auto payload = WriteSegment(plan, i, weft::ChecksumMode::kPartial, header);
    segments[i].assign(header, header + plan.header_bytes);
    segments[i].insert(segments[i].end(), payload.begin(), payload.end());
    if (segments[i].size() > weft::MaxFrameBytes(frame.data(), kMtu)) std::abort();
    coalescer.Push(
        port, segments[i],
        plan.can_stay_partial() ? weft::InnerChecksum::kPartial : weft::InnerChecksum::kWhole);
  }
  coalescer.Flush();
  return 0;
}
