#include "coalescer.hpp"

#include <cstring>

#include "transport-checksum.hpp"

namespace weft {
namespace {

// TCP and UDP begin alike, with both ports.
constexpr uint32_t kPorts = tcp::kPorts;
static_assert(tcp::kPorts == udp::kPorts);

bool SameBytes(const uint8_t* a, const uint8_t* b, uint32_t from, uint32_t to) {
  return std::memcmp(a + from, b + from, to - from) == 0;
}

// Headers that join: no IPv4 options, no IPv6 extensions, no padding behind the packet.
bool HasPlainHeaders(std::span<const uint8_t> frame, const Layers& layers) {
  const uint32_t ip = layers.is_ipv6 ? kIpv6Bytes : kMinIpv4Bytes;
  return layers.l4 == layers.l3 + ip && layers.end == frame.size() && layers.payload < layers.end;
}

// Flags that may differ from none to push within a super-frame; any other flag means that the
// segment does something, and it must arrive on its own.
bool HasPlainFlags(const uint8_t* tcp) {
  return (tcp[tcp::kFlags] & ~(tcp::kPsh | tcp::kEce)) == tcp::kAck;
}

bool IsJoinable(std::span<const uint8_t> frame, const Layers& layers, bool joins_udp,
                InnerChecksum checksum) {
  if (!layers.has_ports() || !HasPlainHeaders(frame, layers)) return false;
  const uint8_t* ip = frame.data() + layers.l3;
  if (!layers.is_ipv6 && FoldSum(SumBytes(ip, kMinIpv4Bytes)) != 0xffff) return false;
  const uint8_t* l4 = frame.data() + layers.l4;
  if (layers.kind == FrameKind::kTcp) return HasPlainFlags(l4);
  // A UDP checksum of zero means none (RFC 768), which a super-frame can't express.
  return joins_udp &&
         (checksum == InnerChecksum::kPartial || LoadNative<uint16_t>(l4 + udp::kChecksum) != 0);
}

// The header bytes, flags aside, that every segment of a super-frame shares.
bool SameIpHeader(const uint8_t* a, const uint8_t* b, const Layers& layers) {
  if (!SameBytes(a, b, 0, ethernet::kAddressesBytes)) return false;
  const uint8_t* x = a + layers.l3;
  const uint8_t* y = b + layers.l3;
  if (layers.is_ipv6) return SameBytes(x, y, 0, 4) && SameBytes(x, y, ipv6::kHopLimit, 8);
  return x[ipv4::kTos] == y[ipv4::kTos] && SameBytes(x, y, ipv4::kFragment, ipv4::kChecksum);
}

bool SameTcpHeader(const uint8_t* a, const uint8_t* b, const Layers& layers) {
  const uint8_t* x = a + layers.l4;
  const uint8_t* y = b + layers.l4;
  return ((x[tcp::kFlags] ^ y[tcp::kFlags]) & ~tcp::kPsh) == 0 &&
         SameBytes(x, y, tcp::kAcknowledgement, tcp::kFlags) &&
         SameBytes(x, y, tcp::kWindow, tcp::kChecksum) &&
         SameBytes(x, y, tcp::kUrgent, uint32_t{layers.payload} - layers.l4);
}

}  // namespace

Coalescer::Coalescer(FrameSink& sink, bool joins_udp)
    : sink_(sink), joins_udp_(joins_udp), flows_(std::make_unique<Flow[]>(kMaxFlows)) {}

void Coalescer::Push(Port& port, std::span<uint8_t> frame, InnerChecksum checksum) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports()) {
    // A fragment may belong to any flow between its hosts.
    if (layers.kind == FrameKind::kFragment) Flush();
    WriteAlone(port, frame, layers, checksum);
    return;
  }
  const uint32_t hash = FlowHash(frame.data(), layers);
  const bool is_joinable = IsJoinable(frame, layers, joins_udp_, checksum);
  Flow* flow = Find(port, frame.data(), layers, hash);
  if (flow != nullptr && flow->frames > 0) {
    if (is_joinable && CanAppend(*flow, frame.data(), layers) &&
        (checksum == InnerChecksum::kPartial || IsTransportChecksumRight(frame.data(), layers))) {
      Append(*flow, frame.data(), layers);
      return;
    }
    Write(*flow);
  }
  if (!is_joinable ||
      (checksum == InnerChecksum::kWhole && !IsTransportChecksumRight(frame.data(), layers))) {
    WriteAlone(port, frame, layers, checksum);
    return;
  }
  Start(flow == nullptr ? Claim(hash) : *flow, port, frame, layers, checksum);
}

void Coalescer::PushAlone(Port& port, std::span<uint8_t> frame, InnerChecksum checksum) {
  Flush();
  WriteAlone(port, frame, ParseFrame(frame), checksum);
}

void Coalescer::Flush() {
  for (uint32_t i = 0; i < flow_count_; i++) {
    if (flows_[i].frames > 0) Write(flows_[i]);
  }
  flow_count_ = 0;
}

Coalescer::Flow* Coalescer::Find(const Port& port, const uint8_t* frame, const Layers& layers,
                                 uint32_t hash) {
  for (uint32_t i = 0; i < flow_count_; i++) {
    if (hashes_[i] != hash) continue;
    Flow& flow = flows_[i];
    const uint32_t addresses = layers.l3 + (layers.is_ipv6 ? ipv6::kAddresses : ipv4::kAddresses);
    const uint32_t size = layers.is_ipv6 ? ipv6::kAddressesBytes : ipv4::kAddressesBytes;
    if (flow.port == &port && flow.layers.kind == layers.kind &&
        flow.layers.is_ipv6 == layers.is_ipv6 && flow.layers.l3 == layers.l3 &&
        SameBytes(flow.header, frame, ethernet::kAddressesBytes, layers.l3) &&
        SameBytes(flow.header, frame, addresses, addresses + size) &&
        LoadNative<uint32_t>(flow.header + flow.layers.l4 + kPorts) ==
            LoadNative<uint32_t>(frame + layers.l4 + kPorts)) {
      return &flow;
    }
  }
  return nullptr;
}

Coalescer::Flow& Coalescer::Claim(uint32_t hash) {
  if (flow_count_ == kMaxFlows) Flush();
  hashes_[flow_count_] = hash;
  return flows_[flow_count_++];
}

void Coalescer::Start(Flow& flow, Port& port, std::span<uint8_t> frame, const Layers& layers,
                      InnerChecksum checksum) {
  const uint32_t payload = layers.end - layers.payload;
  flow.port = &port;
  flow.header = frame.data();
  flow.layers = layers;
  flow.id_rule = IdRule::kUnknown;
  flow.is_partial = checksum == InnerChecksum::kPartial;
  flow.has_push = false;
  flow.is_closed = false;
  flow.segment_payload = payload;
  flow.payload_bytes = payload;
  flow.frames = 1;
  flow.bytes = frame.size();
  flow.pieces[1] = {frame.data(), layers.payload};
  flow.pieces[2] = {frame.data() + layers.payload, payload};
  if (layers.kind == FrameKind::kTcp) {
    const uint8_t* l4 = frame.data() + layers.l4;
    flow.next_sequence = LoadBe32(l4 + tcp::kSequence) + payload;
    flow.has_push = (l4[tcp::kFlags] & tcp::kPsh) != 0;
    flow.is_closed = flow.has_push;
  }
}

bool Coalescer::CanAppend(const Flow& flow, const uint8_t* frame, const Layers& layers) const {
  const bool is_tcp = layers.kind == FrameKind::kTcp;
  const uint32_t payload = layers.end - layers.payload;
  const uint32_t packet = layers.payload - layers.l3 + flow.payload_bytes + payload;
  if (flow.is_closed || payload > flow.segment_payload || packet > kMaxPacketBytes ||
      flow.frames >= (is_tcp ? kMaxJoined : kMaxJoinedUdp) || layers.l4 != flow.layers.l4 ||
      layers.payload != flow.layers.payload || !SameIpHeader(flow.header, frame, layers)) {
    return false;
  }
  if (is_tcp && (LoadBe32(frame + layers.l4 + tcp::kSequence) != flow.next_sequence ||
                 !SameTcpHeader(flow.header, frame, layers))) {
    return false;
  }
  if (layers.is_ipv6) return true;
  // The kernel numbers the segments of a super-frame upwards from its id. An id that stays the same
  // may be renumbered only where it has no meaning: in packets that must not be fragmented (RFC
  // 6864).
  const uint16_t first = LoadBe16(flow.header + layers.l3 + ipv4::kId);
  const uint16_t id = LoadBe16(frame + layers.l3 + ipv4::kId);
  const bool is_atomic = (LoadBe16(frame + layers.l3 + ipv4::kFragment) & ipv4::kDontFragment) != 0;
  if (id == static_cast<uint16_t>(first + flow.frames)) return flow.id_rule != IdRule::kConstant;
  return id == first && is_atomic && flow.id_rule != IdRule::kCounts;
}

void Coalescer::Append(Flow& flow, const uint8_t* frame, const Layers& layers) {
  const uint32_t payload = layers.end - layers.payload;
  if (!layers.is_ipv6 && flow.id_rule == IdRule::kUnknown) {
    const bool is_constant = LoadNative<uint16_t>(flow.header + layers.l3 + ipv4::kId) ==
                             LoadNative<uint16_t>(frame + layers.l3 + ipv4::kId);
    flow.id_rule = is_constant ? IdRule::kConstant : IdRule::kCounts;
  }
  if (layers.kind == FrameKind::kTcp && (frame[layers.l4 + tcp::kFlags] & tcp::kPsh) != 0) {
    flow.has_push = true;
    flow.is_closed = true;
  }
  if (payload < flow.segment_payload) flow.is_closed = true;
  flow.pieces[2 + flow.frames] = {const_cast<uint8_t*>(frame) + layers.payload, payload};
  flow.frames++;
  flow.next_sequence += payload;
  flow.payload_bytes += payload;
  flow.bytes += layers.end;
}

void Coalescer::Write(Flow& flow) {
  const Layers& layers = flow.layers;
  uint8_t* header = flow.header;
  const uint32_t frames = flow.frames;
  flow.frames = 0;
  VnetHeader vnet;
  vnet.flags = flow.is_partial ? kVnetNeedsChecksum : kVnetDataValid;
  const uint32_t packet_bytes = layers.payload - layers.l3 + flow.payload_bytes;
  const uint32_t l4_bytes = packet_bytes - (layers.l4 - layers.l3);
  if (frames > 1) {
    uint8_t* ip = header + layers.l3;
    uint8_t* l4 = header + layers.l4;
    vnet.flags = kVnetNeedsChecksum;
    vnet.header_bytes = layers.payload;
    vnet.gso_size = static_cast<uint16_t>(flow.segment_payload);
    if (layers.is_ipv6) {
      StoreBe16(ip + ipv6::kPayloadLength, static_cast<uint16_t>(l4_bytes));
    } else {
      StoreBe16(ip + ipv4::kTotalLength, static_cast<uint16_t>(packet_bytes));
      StoreNative<uint16_t>(ip + ipv4::kChecksum, 0);
      StoreNative(ip + ipv4::kChecksum, FinishHeaderSum(SumBytes(ip, kMinIpv4Bytes)));
    }
    if (layers.kind == FrameKind::kTcp) {
      vnet.gso_type = layers.is_ipv6 ? kGsoTcp6 : kGsoTcp4;
      if (flow.has_push) l4[tcp::kFlags] |= tcp::kPsh;
    } else {
      vnet.gso_type = kGsoUdp;
      StoreBe16(l4 + udp::kLength, static_cast<uint16_t>(l4_bytes));
    }
    StoreNative(l4 + layers.checksum_offset(),
                FoldSum(TransportPseudoSum(header, layers, l4_bytes)));
  }
  if ((vnet.flags & kVnetNeedsChecksum) != 0) {
    vnet.checksum_start = layers.l4;
    vnet.checksum_offset = layers.checksum_offset();
  }
  sink_.WriteFrame(*flow.port, vnet, std::span(flow.pieces.data(), frames + 2), frames, flow.bytes);
}

void Coalescer::WriteAlone(Port& port, std::span<uint8_t> frame, const Layers& layers,
                           InnerChecksum checksum) {
  VnetHeader vnet;
  if (checksum == InnerChecksum::kPartial && layers.has_ports()) {
    vnet.flags = kVnetNeedsChecksum;
    vnet.checksum_start = layers.l4;
    vnet.checksum_offset = layers.checksum_offset();
  }
  iovec pieces[2] = {{}, {frame.data(), frame.size()}};
  sink_.WriteFrame(port, vnet, pieces, 1, frame.size());
}

}  // namespace weft
