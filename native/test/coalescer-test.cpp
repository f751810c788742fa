#include "../core/coalescer.hpp"

#include "../core/tables.hpp"
#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

struct Written {
  const Port* port;
  VnetHeader vnet;
  Bytes frame;
  uint32_t frames;
};

class Recorder final : public FrameSink {
 public:
  std::vector<Written> written;

  void WriteFrame(Port& port, const VnetHeader& vnet, std::span<iovec> pieces, uint32_t frames,
                  uint64_t bytes) override {
    Bytes frame;
    for (const iovec& piece : pieces.subspan(1)) {
      const auto* at = static_cast<const uint8_t*>(piece.iov_base);
      frame.insert(frame.end(), at, at + piece.iov_len);
    }
    CHECK(bytes >= frame.size());
    written.push_back({&port, vnet, frame, frames});
  }
};

// Pushes frames as one batch and returns what comes out.
struct Bench {
  Recorder recorder;
  Coalescer coalescer{recorder, true};
  Port port;
  std::vector<std::unique_ptr<Bytes>> buffers;

  void Push(const Bytes& frame, InnerChecksum checksum = InnerChecksum::kWhole) {
    buffers.push_back(std::make_unique<Bytes>(frame));
    coalescer.Push(port, *buffers.back(), checksum);
  }
  std::vector<Written> Finish() {
    coalescer.Flush();
    buffers.clear();
    return std::move(recorder.written);
  }
};

FrameSpec Next(FrameSpec spec) {
  spec.sequence += spec.payload_bytes;
  spec.id++;
  return spec;
}

std::vector<Written> Run(const std::vector<FrameSpec>& specs) {
  Bench bench;
  for (const FrameSpec& spec : specs) {
    bench.Push(MakeFrame(spec), spec.is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole);
  }
  return bench.Finish();
}

// Whether these two frames become one.
bool Joins(const FrameSpec& first, const FrameSpec& second) {
  const auto written = Run({first, second});
  if (written.size() == 1) return true;
  CHECK(written.size() == 2);
  CHECK(written[0].frame == MakeFrame(first) && written[1].frame == MakeFrame(second));
  return false;
}

TEST(consecutive_segments_become_the_super_frame_that_was_sent) {
  for (const bool is_ipv6 : {false, true}) {
    for (const bool is_tcp : {false, true}) {
      for (const bool is_partial : {false, true}) {
        FrameSpec spec;
        spec.is_ipv6 = is_ipv6;
        spec.is_tcp = is_tcp;
        spec.is_partial = is_partial;
        spec.vlan_tags = 1;
        spec.payload_bytes = 700;
        FrameSpec last = Next(Next(spec));
        last.payload_bytes = 10;
        if (is_tcp) last.flags |= tcp::kPsh;
        const auto written = Run({spec, Next(spec), last});
        CHECK(written.size() == 1);
        const Written& super = written[0];
        FrameSpec whole = spec;
        whole.is_partial = true;
        whole.payload_bytes = 1410;
        whole.flags = last.flags;
        const Bytes expected = MakeFrame(whole);
        const size_t headers = ParseFrame(expected).payload;
        CHECK(super.frame.size() == expected.size());
        CHECK(std::equal(expected.begin(), expected.begin() + static_cast<long>(headers),
                         super.frame.begin()));
        const VnetHeader vnet = OffloadHeader(whole, 700);
        CHECK(super.vnet.flags == kVnetNeedsChecksum && super.vnet.gso_type == vnet.gso_type);
        CHECK(super.vnet.gso_size == 700 && super.vnet.header_bytes == headers);
        CHECK(super.vnet.checksum_start == vnet.checksum_start);
        CHECK(super.vnet.checksum_offset == vnet.checksum_offset);
        CHECK(super.frames == 3);
      }
    }
  }
}

TEST(any_difference_in_the_headers_closes_a_super_frame) {
  const FrameSpec first;
  const auto joins_with = [&](auto change) {
    FrameSpec second = Next(first);
    change(second);
    return Joins(first, second);
  };
  CHECK(joins_with([](auto&) {}));
  CHECK(joins_with([](auto& s) { s.flags |= tcp::kPsh; }));
  CHECK(joins_with([](auto& s) { s.payload_bytes--; }));
  CHECK(!joins_with([](auto& s) { s.payload_bytes++; }));
  CHECK(!joins_with([](auto& s) { s.payload_bytes = 0; }));
  CHECK(!joins_with([](auto& s) { s.sequence++; }));
  CHECK(!joins_with([](auto& s) { s.acknowledgement++; }));
  CHECK(!joins_with([](auto& s) { s.window++; }));
  CHECK(!joins_with([](auto& s) { s.flags |= tcp::kFin; }));
  CHECK(!joins_with([](auto& s) { s.flags |= tcp::kEce; }));
  CHECK(!joins_with([](auto& s) { s.flags |= tcp::kCwr; }));
  CHECK(!joins_with([](auto& s) { s.flags = 0x14; }));
  CHECK(!joins_with([](auto& s) { s.tcp_option_bytes = 12; }));
  CHECK(!joins_with([](auto& s) { s.ip_option_bytes = 4; }));
  CHECK(!joins_with([](auto& s) { s.ttl--; }));
  CHECK(!joins_with([](auto& s) { s.tos = 3; }));
  CHECK(!joins_with([](auto& s) { s.id++; }));
  CHECK(!joins_with([](auto& s) { s.dont_fragment = false; }));
  CHECK(!joins_with([](auto& s) { s.vlan_tags = 1; }));
  CHECK(!joins_with([](auto& s) { s.source = 0x020000000009; }));
  CHECK(!joins_with([](auto& s) { s.destination_port++; }));
  CHECK(joins_with([](auto& s) { s.id--; }));  // DF: an id that stays the same means nothing
}

TEST(a_constant_id_joins_only_where_fragments_are_forbidden) {
  FrameSpec first;
  first.dont_fragment = false;
  FrameSpec second = Next(first);
  second.id = first.id;
  CHECK(!Joins(first, second));
}

TEST(push_and_short_segments_are_last) {
  FrameSpec first;
  first.flags |= tcp::kPsh;
  CHECK(!Joins(first, Next(first)));
  FrameSpec short_one = Next(FrameSpec{});
  short_one.payload_bytes = 50;
  const auto written = Run({FrameSpec{}, short_one, Next(short_one)});
  CHECK(written.size() == 2 && written[0].frames == 2 && written[1].frames == 1);
}

TEST(a_wrong_checksum_is_passed_on_and_never_laundered) {
  for (const size_t at : {size_t{24}, size_t{60}}) {  // in the IP header, in the payload
    Bench bench;
    bench.Push(MakeFrame(FrameSpec{}));
    Bytes broken = MakeFrame(Next(FrameSpec{}));
    broken[at] ^= 1;
    bench.Push(broken);
    const auto written = bench.Finish();
    CHECK(written.size() == 2 && written[1].frame == broken);
    CHECK(written[0].vnet.flags == kVnetDataValid && written[1].vnet.flags == 0);
  }
}

TEST(a_datagram_without_a_checksum_stays_alone) {
  FrameSpec spec;
  spec.is_tcp = false;
  Bytes frame = MakeFrame(spec);
  const size_t field = ParseFrame(frame).l4 + 6U;
  frame[field] = frame[field + 1] = 0;
  Bench bench;
  bench.Push(frame);
  bench.Push(frame);
  CHECK(bench.Finish().size() == 2);
}

TEST(order_within_a_flow_holds_when_a_frame_cannot_join) {
  FrameSpec data;
  FrameSpec fin = Next(Next(data));
  fin.flags |= tcp::kFin;
  const auto written = Run({data, Next(data), fin, data});
  CHECK(written.size() == 3);
  CHECK(written[0].frames == 2 && written[1].frame == MakeFrame(fin));
  CHECK(written[2].frame == MakeFrame(data));
}

TEST(a_fragment_overtakes_nothing) {
  Bench bench;
  bench.Push(MakeFrame(FrameSpec{}));
  Bytes fragment = MakeFrame(FrameSpec{});
  fragment[20] = 0x20;
  bench.Push(fragment);
  const auto written = bench.Finish();
  CHECK(written.size() == 2 && written[1].frame == fragment);
}

TEST(interleaved_flows_are_joined_apart) {
  std::vector<FrameSpec> specs;
  for (uint32_t step = 0; step < 10; step++) {
    for (uint16_t flow = 0; flow < 8; flow++) {
      FrameSpec spec;
      spec.source_port = flow;
      spec.sequence += step * spec.payload_bytes;
      spec.id = static_cast<uint16_t>(step);
      specs.push_back(spec);
    }
  }
  const auto written = Run(specs);
  CHECK(written.size() == 8);
  for (const Written& super : written) CHECK(super.frames == 10);
}

TEST(more_flows_than_slots_lose_nothing) {
  std::vector<FrameSpec> specs;
  for (uint16_t flow = 0; flow < 500; flow++) {
    FrameSpec spec;
    spec.source_port = flow;
    specs.push_back(spec);
  }
  CHECK(Run(specs).size() == 500);
}

TEST(a_super_frame_stays_within_an_ip_packet) {
  std::vector<FrameSpec> specs;
  FrameSpec spec;
  spec.payload_bytes = 1300;
  for (int i = 0; i < 120; i++) {
    specs.push_back(spec);
    spec = Next(spec);
  }
  const auto written = Run(specs);
  CHECK(written.size() == 3);
  for (const Written& super : written) CHECK(super.frame.size() <= 65535 + kEthernetBytes);
}

TEST(udp_is_left_alone_where_the_kernel_takes_no_super_frames) {
  Recorder recorder;
  Coalescer coalescer(recorder, false);
  Port port;
  FrameSpec spec;
  spec.is_tcp = false;
  Bytes first = MakeFrame(spec);
  Bytes second = MakeFrame(Next(spec));
  coalescer.Push(port, first, InnerChecksum::kWhole);
  coalescer.Push(port, second, InnerChecksum::kWhole);
  coalescer.Flush();
  CHECK(recorder.written.size() == 2);
}

}  // namespace
}  // namespace weft::test
