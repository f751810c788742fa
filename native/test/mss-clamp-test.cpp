#include "../core/mss-clamp.hpp"

#include "../core/endian.hpp"
#include "../core/segmenter.hpp"
#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint32_t kMtu = 1414;
constexpr uint16_t kMss = 8960;
constexpr uint32_t kOptionBytes = 12;

struct Syn {
  Bytes frame;
  Layers layers;
  uint32_t value_at;
};

// With the MSS behind so many NOPs; its checksum is left to the device.
Syn PartialSyn(bool is_ipv6, uint32_t nops, uint8_t flags = tcp::kSyn) {
  FrameSpec spec;
  spec.is_ipv6 = is_ipv6;
  spec.tcp_option_bytes = kOptionBytes;
  spec.flags = flags;
  spec.payload_bytes = 3;
  spec.is_partial = true;
  Syn syn{MakeFrame(spec), {}, 0};
  syn.layers = ParseFrame(syn.frame);
  uint8_t* option = &syn.frame[syn.layers.l4 + kMinTcpBytes];
  std::fill_n(option, kOptionBytes, uint8_t{1});
  option[nops] = 2;
  option[nops + 1] = 4;
  StoreBe16(option + nops + 2, kMss);
  syn.value_at = syn.layers.l4 + kMinTcpBytes + nops + 2;
  return syn;
}

// The same as a device without offloads would send it.
Syn WholeSyn(bool is_ipv6, uint32_t nops) {
  Syn syn = PartialSyn(is_ipv6, nops);
  VnetHeader vnet{};
  vnet.flags = kVnetNeedsChecksum;
  vnet.checksum_start = syn.layers.l4;
  vnet.checksum_offset = tcp::kChecksum;
  SegmentPlan plan;
  CHECK(PlanSegments(vnet, syn.frame, kMtu, plan) == PlanResult::kOk);
  Bytes header(plan.header_bytes);
  WriteSegment(plan, 0, ChecksumMode::kWhole, header.data());
  std::copy(header.begin(), header.end(), syn.frame.begin());
  CHECK(HasRightChecksums(syn.frame));
  return syn;
}

TEST(mss_of_a_syn_is_lowered_and_its_checksum_mended) {
  for (const bool is_ipv6 : {false, true}) {
    for (uint32_t nops = 0; nops <= kOptionBytes - 4; nops++) {
      Syn syn = WholeSyn(is_ipv6, nops);
      ClampMss(syn.frame.data(), syn.layers, kMtu, false);
      CHECK(LoadBe16(&syn.frame[syn.value_at]) == kMtu - (is_ipv6 ? 60 : 40));
      CHECK(HasRightChecksums(syn.frame));
    }
  }
}

TEST(mss_clamp_leaves_a_partial_checksum_to_the_device) {
  Syn syn = PartialSyn(false, 0);
  Bytes expected = syn.frame;
  StoreBe16(&expected[syn.value_at], kMtu - 40);
  ClampMss(syn.frame.data(), syn.layers, kMtu, true);
  CHECK(syn.frame == expected);
}

TEST(mss_clamp_leaves_what_fits_and_what_is_no_syn) {
  Syn fits = WholeSyn(false, 0);
  Syn ack = PartialSyn(false, 0, tcp::kAck);
  FrameSpec datagram;
  datagram.is_tcp = false;
  Syn udp{MakeFrame(datagram), {}, 0};
  udp.layers = ParseFrame(udp.frame);
  for (auto& [frame, layers, value_at] : {fits, ack, udp}) {
    Bytes same = frame;
    ClampMss(same.data(), layers, kMss + 40, false);
    CHECK(same == frame);
  }
  Bytes same = ack.frame;
  ClampMss(same.data(), ack.layers, kMtu, false);
  CHECK(same == ack.frame);
}

TEST(mss_clamp_stops_at_options_that_lead_nowhere) {
  for (const Bytes& options : {Bytes{0, 2, 4, 0xff, 0xff}, Bytes{5, 0, 2, 4, 0xff}, Bytes{5, 1},
                               Bytes{5, 255, 2, 4}, Bytes{2, 3, 0xff, 2, 4}}) {
    Syn syn = PartialSyn(false, 0);
    uint8_t* at = &syn.frame[syn.layers.l4 + kMinTcpBytes];
    std::fill_n(at, kOptionBytes, uint8_t{0});
    std::copy(options.begin(), options.end(), at);
    const Bytes before = syn.frame;
    ClampMss(syn.frame.data(), syn.layers, kMtu, true);
    CHECK(syn.frame == before);
  }
}

}  // namespace
}  // namespace weft::test
