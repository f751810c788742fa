// What the core's operations cost. Frames are those of bulk TCP over IPv4 with timestamps, as a
// kernel hands them to a TAP; each loop works on a buffer that fits the second-level cache, as the
// forwarder's do.
#include "micro.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "../core/coalescer.hpp"
#include "../core/endian.hpp"
#include "../core/fdb.hpp"
#include "../core/sealed.hpp"
#include "../core/segmenter.hpp"
#include "../core/transport-checksum.hpp"
#include "../core/vxlan.hpp"

namespace weft {
namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kMtu = 1450;
constexpr uint32_t kVni = 77;
constexpr uint32_t kTcpBytes = kMinTcpBytes + 12;  // with the timestamp option
constexpr uint32_t kHeaderBytes = kEthernetBytes + kMinIpv4Bytes + kTcpBytes;
constexpr uint32_t kSegmentPayload = kMtu - kMinIpv4Bytes - kTcpBytes;
// As many full segments as an IP packet of 65535 bytes holds.
constexpr uint32_t kSegments = (65535 - kMinIpv4Bytes - kTcpBytes) / kSegmentPayload;
constexpr uint32_t kSealedRing = 64;

// Adds up the time of the parts of a loop that are the operation itself.
class Stopwatch {
 public:
  void Start() { started_ = Clock::now(); }
  void Stop() { total_ += Clock::now() - started_; }
  double NanosecondsPer(uint64_t operations) const {
    return std::chrono::duration<double, std::nano>(total_).count() /
           static_cast<double>(operations);
  }

 private:
  Clock::time_point started_;
  Clock::duration total_{};
};

// Keeps the compiler from dropping work whose result nobody reads.
void Keep(uint64_t value) { asm volatile("" : : "r"(value) : "memory"); }

ChecksumMode ModeOf(const Napi::Value& is_partial) {
  return is_partial.As<Napi::Boolean>() ? ChecksumMode::kPartial : ChecksumMode::kWhole;
}

// A TCP frame with that much payload; its checksum field holds the pseudo-header sum.
Bytes MakeTcpFrame(uint32_t payload_bytes) {
  Bytes frame(kHeaderBytes + payload_bytes);
  for (size_t i = kHeaderBytes; i < frame.size(); i++) frame[i] = static_cast<uint8_t>(i * 7);
  StoreBe64(&frame[0], 0x0200'0000'0001'0200);
  StoreBe32(&frame[8], 2);
  StoreBe16(&frame[ethernet::kAddressesBytes], 0x0800);
  uint8_t* ip = &frame[kEthernetBytes];
  ip[ipv4::kVersionLength] = 0x45;
  StoreBe16(ip + ipv4::kTotalLength, static_cast<uint16_t>(frame.size() - kEthernetBytes));
  StoreBe16(ip + ipv4::kFragment, ipv4::kDontFragment);
  ip[ipv4::kTtl] = 64;
  ip[ipv4::kProtocol] = kProtocolTcp;
  StoreBe64(ip + ipv4::kAddresses, 0x0a4d'0001'0a4d'0002);
  StoreNative(ip + ipv4::kChecksum, FinishSum(SumBytes(ip, kMinIpv4Bytes)));
  uint8_t* l4 = ip + kMinIpv4Bytes;
  StoreBe32(l4 + tcp::kPorts, 40000U << 16 | 5201);
  l4[tcp::kDataOffset] = static_cast<uint8_t>(kTcpBytes / 4 << 4);
  l4[tcp::kFlags] = tcp::kAck;
  StoreBe32(l4 + kMinTcpBytes, 0x0101'080a);  // two NOPs, then timestamps of 10 bytes
  const uint32_t l4_bytes = kTcpBytes + payload_bytes;
  const uint32_t sum = FoldSum(TransportPseudoSum(frame.data(), ParseFrame(frame), l4_bytes));
  StoreNative(l4 + tcp::kChecksum, static_cast<uint16_t>(sum));
  return frame;
}

VnetHeader SuperFrameHeader() {
  VnetHeader vnet;
  vnet.flags = kVnetNeedsChecksum;
  vnet.gso_type = kGsoTcp4;
  vnet.header_bytes = kHeaderBytes;
  vnet.gso_size = kSegmentPayload;
  vnet.checksum_start = kEthernetBytes + kMinIpv4Bytes;
  vnet.checksum_offset = tcp::kChecksum;
  return vnet;
}

// segmentLoop(operations, partial): one segment of a super-frame behind its VXLAN header. Payload
// is never copied on the way to the kernel, so it isn't here.
Napi::Value SegmentLoop(const Napi::CallbackInfo& info) {
  const uint32_t turns = info[0].As<Napi::Number>().Uint32Value() / kSegments + 1;
  const ChecksumMode mode = ModeOf(info[1]);
  const Bytes frame = MakeTcpFrame(kSegments * kSegmentPayload);
  const VnetHeader vnet = SuperFrameHeader();
  Bytes out(kSegments * (vxlan::kHeaderBytes + kHeaderBytes));
  uint64_t made = 0;
  Stopwatch watch;
  watch.Start();
  for (uint32_t turn = 0; turn < turns; turn++) {
    SegmentPlan plan;
    if (PlanSegments(vnet, frame, kMtu, plan) != PlanResult::kOk) break;
    uint8_t* at = out.data();
    for (uint32_t i = 0; i < plan.count; i++) {
      vxlan::WriteHeader(at, kVni, mode == ChecksumMode::kPartial);
      Keep(WriteSegment(plan, i, mode, at + vxlan::kHeaderBytes).size());
      at += vxlan::kHeaderBytes + plan.header_bytes;
    }
    made += plan.count;
  }
  watch.Stop();
  if (made != uint64_t{turns} * kSegments) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), watch.NanosecondsPer(made));
}

class CountingSink final : public FrameSink {
 public:
  void WriteFrame(Port&, const VnetHeader&, std::span<iovec>, uint32_t, uint64_t) override {
    writes++;
  }
  uint64_t writes = 0;
};

// The segments of one super-frame, as they come in from the underlay.
std::vector<Bytes> MakeSegments(ChecksumMode mode) {
  const Bytes frame = MakeTcpFrame(kSegments * kSegmentPayload);
  SegmentPlan plan;
  PlanSegments(SuperFrameHeader(), frame, kMtu, plan);
  std::vector<Bytes> segments;
  for (uint32_t i = 0; i < plan.count; i++) {
    Bytes segment(kHeaderBytes + kSegmentPayload);
    const auto payload = WriteSegment(plan, i, mode, segment.data());
    std::memcpy(&segment[kHeaderBytes], payload.data(), payload.size());
    segments.push_back(std::move(segment));
  }
  return segments;
}

// coalesceLoop(operations, partial): one segment on its way into a super-frame, without the write.
// Only the first segment's header is rewritten by that, so only that one is restored.
Napi::Value CoalesceLoop(const Napi::CallbackInfo& info) {
  const uint32_t turns = info[0].As<Napi::Number>().Uint32Value() / kSegments + 1;
  const ChecksumMode mode = ModeOf(info[1]);
  const auto checksum =
      mode == ChecksumMode::kPartial ? InnerChecksum::kPartial : InnerChecksum::kWhole;
  std::vector<Bytes> segments = MakeSegments(mode);
  const Bytes header(segments[0].begin(), segments[0].begin() + kHeaderBytes);
  CountingSink sink;
  Coalescer coalescer(sink, true);
  Port port;
  Stopwatch watch;
  watch.Start();
  for (uint32_t turn = 0; turn < turns; turn++) {
    std::memcpy(segments[0].data(), header.data(), kHeaderBytes);
    for (Bytes& segment : segments) coalescer.Push(port, segment, checksum);
    coalescer.Flush();
  }
  watch.Stop();
  if (sink.writes != turns) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), watch.NanosecondsPer(uint64_t{turns} * kSegments));
}

struct SealedRing {
  SealedRing(CipherKind kind, uint32_t frame_bytes)
      : frames(kSealedRing, Bytes(frame_bytes)),
        datagrams(kSealedRing, Bytes(frame_bytes + sealed::kOverheadBytes)) {
    const uint8_t bytes[kCipherKeyBytes] = {1};
    send.ciphers[0] = Cipher::Create(kind, bytes);
    receive.cipher = Cipher::Create(kind, bytes);
  }

  void Seal() {
    for (uint32_t i = 0; i < kSealedRing; i++) {
      send.Seal(0, frames[i], datagrams[i].data(), kVni, false);
    }
  }
  bool Open() {
    bool is_ok = true;
    for (Bytes& datagram : datagrams) {
      is_ok &= receive.Open(datagram) == ReceiveSession::Opened::kOk;
    }
    return is_ok;
  }

  const std::vector<Bytes> frames;
  std::vector<Bytes> datagrams;
  SendKey send;
  ReceiveSession receive;
};

// sealLoop(operations, chacha, frame bytes, open): one frame sealed into a datagram, or opened in
// place, header, counter and replay window included. A datagram can be opened but once, so both are
// done by turns and one of them is timed.
Napi::Value SealLoop(const Napi::CallbackInfo& info) {
  const uint32_t turns = info[0].As<Napi::Number>().Uint32Value() / kSealedRing + 1;
  const auto kind =
      info[1].As<Napi::Boolean>() ? CipherKind::kChaCha20Poly1305 : CipherKind::kAes256Gcm;
  const bool is_open_timed = info[3].As<Napi::Boolean>();
  SealedRing ring(kind, info[2].As<Napi::Number>().Uint32Value());
  bool is_ok = true;
  Stopwatch seal;
  Stopwatch open;
  for (uint32_t turn = 0; turn < turns; turn++) {
    seal.Start();
    ring.Seal();
    seal.Stop();
    open.Start();
    is_ok &= ring.Open();
    open.Stop();
  }
  if (!is_ok) return info.Env().Undefined();
  const Stopwatch& timed = is_open_timed ? open : seal;
  return Napi::Number::New(info.Env(), timed.NanosecondsPer(uint64_t{turns} * kSealedRing));
}

// fdbLoop(operations, capacity, known): one lookup in a full table, MACs in random order.
Napi::Value FdbLoop(const Napi::CallbackInfo& info) {
  constexpr Mac kFirst = 0x02005e100000;
  constexpr uint32_t kMaxAge = 1000;
  constexpr uint64_t kHashKey = 0x9e37'79b9'7f4a'7c15;
  const uint32_t operations = info[0].As<Napi::Number>().Uint32Value();
  const uint32_t capacity = info[1].As<Napi::Number>().Uint32Value();
  const bool is_known = info[2].As<Napi::Boolean>();
  std::vector<Mac> macs(capacity);
  std::iota(macs.begin(), macs.end(), kFirst);
  std::shuffle(macs.begin(), macs.end(), std::mt19937_64(1));
  const Port port;
  Fdb fdb(capacity, kMaxAge, kHashKey);
  Fdb::Counters left;
  for (const Mac mac : macs) fdb.Learn(mac, port.place(), 0, left);
  for (Mac& mac : macs) mac += is_known ? 0 : 2 * uint64_t{capacity};
  uint64_t found = 0;
  Stopwatch watch;
  watch.Start();
  for (uint32_t i = 0, at = 0; i < operations; i++) {
    found += fdb.Lookup(macs[at], 1) != kNowhere ? 1U : 0U;
    if (++at == capacity) at = 0;
  }
  watch.Stop();
  if (found != (is_known ? operations : 0)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), watch.NanosecondsPer(operations));
}

}  // namespace

void InitMicro(Napi::Env env, Napi::Object exports) {
  exports["cipherLibrary"] = Napi::String::New(env, CipherLibrary());
  exports["segmentLoop"] = Napi::Function::New<SegmentLoop>(env);
  exports["coalesceLoop"] = Napi::Function::New<CoalesceLoop>(env);
  exports["sealLoop"] = Napi::Function::New<SealLoop>(env);
  exports["fdbLoop"] = Napi::Function::New<FdbLoop>(env);
}

}  // namespace weft
