// One receive batch of frames through the coalescer, and what it wrote through the segmenter: each
// flow must come out as it went in, frame by frame and in order. The input is a series of records:
//
//   | choice 1 | changes from the flow's last frame ...   |   a frame of one of eight flows
//   | 0xff     | size 2 | frame ...                       |   any bytes
#include "../core/coalescer.hpp"

#include <map>
#include <memory>
#include <vector>

#include "../core/segmenter.hpp"
#include "../core/tables.hpp"
#include "../test/frames.hpp"
#include "input.hpp"

namespace weft {
namespace {

using test::Bytes;
using test::FrameSpec;

constexpr uint32_t kMtu = 65535;
constexpr size_t kMaxFrames = 300;

void Complete(Bytes& frame) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports()) return;
  const ChecksumSum sum = SumBytes(frame.data() + layers.l4, frame.size() - layers.l4);
  StoreNative(frame.data() + layers.l4 + layers.checksum_offset(), FinishSum(sum));
}

// Frames whose order the coalescer must keep: one flow's, or all those without ports.
Bytes KeyOf(const Bytes& frame) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports()) return {};
  const uint32_t at = layers.l3 + (layers.is_ipv6 ? ipv6::kAddresses : ipv4::kAddresses);
  const uint32_t size = layers.is_ipv6 ? ipv6::kAddressesBytes : ipv4::kAddressesBytes;
  Bytes key(frame.begin() + ethernet::kAddressesBytes, frame.begin() + layers.l3);
  key.push_back(layers.protocol());
  key.insert(key.end(), frame.begin() + at, frame.begin() + at + size);
  key.insert(key.end(), frame.begin() + layers.l4, frame.begin() + layers.l4 + 4);
  return key;
}

// The id of a packet that must not be fragmented means nothing (RFC 6864 §4.1), and a super-frame
// can't express one that stays the same.
void ForgetAtomicId(Bytes& frame) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports() || layers.is_ipv6) return;
  uint8_t* ip = frame.data() + layers.l3;
  const uint32_t header = uint32_t{ip[ipv4::kVersionLength]} % 16 * 4;
  if ((LoadBe16(ip + ipv4::kFragment) & ipv4::kDontFragment) == 0) return;
  if (FoldSum(SumBytes(ip, header)) != 0xffff) return;
  StoreBe16(ip + ipv4::kId, 0);
  StoreNative<uint16_t>(ip + ipv4::kChecksum, 0);
}

using Flows = std::map<Bytes, std::vector<Bytes>>;

void Note(Flows& flows, Bytes frame) {
  ForgetAtomicId(frame);
  flows[KeyOf(frame)].push_back(std::move(frame));
}

// Cuts what is written as the kernel would.
class Judge final : public FrameSink {
 public:
  Flows flows;
  uint64_t frames = 0;

  void WriteFrame(Port&, const VnetHeader& vnet, std::span<iovec> pieces, uint32_t count,
                  uint64_t bytes) override {
    Bytes super;
    for (const iovec& piece : pieces.subspan(1)) {
      const auto* at = static_cast<const uint8_t*>(piece.iov_base);
      super.insert(super.end(), at, at + piece.iov_len);
    }
    SegmentPlan plan;
    CHECK(PlanSegments(vnet, super, kMtu, plan) == PlanResult::kOk);
    CHECK(plan.count == count && plan.total_bytes() == bytes);
    for (uint32_t i = 0; i < plan.count; i++) {
      uint8_t header[kMaxHeaderBytes];
      const auto payload = WriteSegment(plan, i, ChecksumMode::kWhole, header);
      Bytes frame(header, header + plan.header_bytes);
      frame.insert(frame.end(), payload.begin(), payload.end());
      Note(flows, std::move(frame));
    }
    frames += count;
  }
};

// The next frame of a flow, usually the one that follows the last.
FrameSpec NextSpec(fuzz::Input& input, uint8_t choice, FrameSpec& last) {
  last.sequence += last.payload_bytes;
  last.id++;
  if ((choice & 8) == 0) {
    const uint8_t what = input.Byte();
    const uint8_t value = input.Byte();
    switch (what % 16) {
      case 0:
        last.sequence += value;
        break;
      case 1:
        last.id = static_cast<uint16_t>(last.id - value % 3);
        break;
      case 2:
        last.flags = value;
        break;
      case 3:
        last.payload_bytes = value;
        break;
      case 4:
        last.payload_bytes = value * 8U;
        break;
      case 5:
        last.dont_fragment = value % 2 == 0;
        break;
      case 6:
        last.ip_option_bytes = value % 4 * 4U;
        break;
      case 7:
        last.extension_bytes = value % 4 * 8U;
        break;
      case 8:
        last.tcp_option_bytes = value % 11 * 4U;
        break;
      case 9:
        last.tos = value;
        break;
      case 10:
        last.window = value;
        break;
      case 11:
        last.acknowledgement += value;
        break;
      case 12:
        last.is_partial = value % 2 == 0;
        break;
      case 13:
        last.vlan_tags = value % 4;
        break;
      case 14:
        last.ttl = value;
        break;
      default:
        last.fill = value;
    }
  }
  return last;
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  fuzz::Input input(data, size);
  FrameSpec flows[8];
  for (uint16_t i = 0; i < 8; i++) {
    flows[i].is_tcp = i < 5;
    flows[i].is_ipv6 = i % 2 == 1;
    flows[i].source_port = i;
    flows[i].extension_bytes = 0;
  }
  Flows sent;
  Judge judge;
  Coalescer coalescer(judge, true);
  Port port;
  std::vector<std::unique_ptr<Bytes>> buffers;
  while (!input.is_empty() && buffers.size() < kMaxFrames) {
    const uint8_t choice = input.Byte();
    Bytes frame;
    bool is_partial = false;
    if (choice == 0xff) {
      const auto bytes = input.Take(input.Word() % 2048);
      frame.assign(bytes.begin(), bytes.end());
      if (frame.size() < kEthernetBytes) continue;
    } else {
      const FrameSpec spec = NextSpec(input, choice, flows[choice % 8]);
      frame = MakeFrame(spec);
      is_partial = spec.is_partial;
      // A partial frame's headers were vouched for, and its sum is made anew.
      if (!is_partial && (choice & 0x90) == 0x90) {
        frame[input.Word() % frame.size()] ^= input.Byte();
      }
    }
    Bytes expected = frame;
    if (is_partial) Complete(expected);
    Note(sent, std::move(expected));
    buffers.push_back(std::make_unique<Bytes>(std::move(frame)));
    const auto checksum = is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole;
    if (choice % 32 == 31) {
      coalescer.PushAlone(port, *buffers.back(), checksum);
    } else {
      coalescer.Push(port, *buffers.back(), checksum);
    }
  }
  coalescer.Flush();
  CHECK(judge.frames == buffers.size());
  CHECK(judge.flows == sent);
  return 0;
}
