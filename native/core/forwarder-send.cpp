// From the ports to the underlay and to each other.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ecn.hpp"
#include "forwarder.hpp"
#include "mss-clamp.hpp"
#include "neighbour-answer.hpp"
#include "sealed.hpp"
#include "too-big.hpp"
#include "unsealed.hpp"
#include "vxlan.hpp"

namespace weft {
namespace {

constexpr int kMaxPortEvents = 64;

VnetHeader ReadVnet(const uint8_t* at, uint32_t bytes) {
  VnetHeader vnet;
  std::memcpy(&vnet, at, std::min<size_t>(bytes, sizeof vnet));
  return vnet;
}

// What goes to another host announces no more than the paths between the hosts take. The frame lies
// in our own arena, and its headers are its first bytes.
void ClampMssOf(const SegmentPlan& plan, const Network& network) {
  ClampMss(const_cast<uint8_t*>(plan.frame), plan.layers, network.send_mtu, plan.needs_checksum);
}

// Errors of a read after which the device may be read again.
bool IsPassing(int error) {
  return error == EAGAIN || error == EINTR || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void Forwarder::ReadPorts() {
  std::array<epoll_event, kMaxPortEvents> events;
  const int count = epoll_wait(port_events_.get(), events.data(), kMaxPortEvents, 0);
  reads_left_ = kMaxReadsPerTurn;
  arena_used_ = 0;
  for (int i = 0; i < count && !is_blocked_; i++) {
    ReadQueue(*static_cast<const Queue*>(events[static_cast<size_t>(i)].data.ptr));
  }
  if (!is_blocked_ && !queue_.is_empty()) SendQueued();
}

void Forwarder::ReadQueue(const Queue& queue) {
  Port& port = *queue.port;
  while (!is_blocked_ && reads_left_ > 0) {
    if (arena_used_ + kReadBytes > kReadArenaBytes) {
      SendQueued();
      arena_used_ = 0;
      continue;
    }
    uint8_t* at = arena_.get() + arena_used_;
    const ssize_t size = read(queue.fd, at, kReadBytes);
    if (size <= 0) {
      if (size == 0 || !IsPassing(errno)) StopReading(port);
      return;
    }
    reads_left_--;
    // The next frame starts on a cache line of its own.
    arena_used_ += (static_cast<uint32_t>(size) + 63U) & ~63U;
    Ingress(port, std::span<const uint8_t>(at, static_cast<size_t>(size)));
  }
}

void Forwarder::Ingress(Port& port, std::span<const uint8_t> bytes) {
  if (bytes.size() < port.vnet_bytes + kEthernetBytes) {
    return stats_.CountDrop(DropReason::port_frame_short);
  }
  const VnetHeader vnet = ReadVnet(bytes.data(), port.vnet_bytes);
  SegmentPlan plan;
  switch (PlanSegments(vnet, bytes.subspan(port.vnet_bytes), port.network->send_mtu, plan)) {
    case PlanResult::kInvalid:
      return stats_.CountDrop(DropReason::port_offload_invalid);
    case PlanResult::kTooLong:
      AnswerTooBig(port, plan);
      return stats_.CountDrop(DropReason::port_frame_long, plan.count);
    case PlanResult::kOk:
      break;
  }
  const Mac source = LoadBe48(plan.frame + ethernet::kSource);
  if (!IsValidSource(source)) {
    return stats_.CountDrop(DropReason::port_source_invalid, plan.count);
  }
  if (port.network->gateway.Concerns(std::span(plan.frame, plan.frame_bytes))) {
    port.stats[thread_].CountRx(plan.count, plan.total_bytes());
    return stats_.CountDrop(DropReason::port_gateway, plan.count);
  }
  // What is pinned to another port keeps its place, and the frame is forwarded all the same.
  if (Learn(*port.network, source, port.place()) == Fdb::Learned::kPinnedElsewhere &&
      IsVtepPlace(port.network->fdb.PinnedAt(source))) {
    return stats_.CountDrop(DropReason::port_source_spoofed, plan.count);
  }
  port.stats[thread_].CountRx(plan.count, plan.total_bytes());
  if (IsGroup(LoadBe48(plan.frame + ethernet::kDestination)) && AnswerNeighbour(port, plan)) return;
  Forward(port, vnet, plan);
}

// Answers a question that the tables can answer; false if the frame is none.
bool Forwarder::AnswerNeighbour(Port& port, const SegmentPlan& plan) {
  if (plan.needs_checksum) return false;
  const Question question = ReadQuestion(std::span(plan.frame, plan.frame_bytes));
  if (question.kind == Question::Kind::kNone) return false;
  Network& network = *port.network;
  const Mac mac = network.neighbours.Find(question.target);
  // Only for what is pinned to a VTEP may anybody speak.
  if (mac == LoadBe48(plan.frame + ethernet::kSource) || !IsVtepPlace(network.fdb.PinnedAt(mac))) {
    return false;
  }
  std::array<uint8_t, kMaxAnswerBytes> answer;
  const uint32_t bytes = WriteAnswer(question, plan.frame, mac, answer.data());
  iovec pieces[2] = {{}, {answer.data(), bytes}};
  const bool is_arp = question.kind == Question::Kind::kArp;
  Count(is_arp ? &stats_.arp_answered : &stats_.nd_answered);
  WriteFrame(port, VnetHeader{}, pieces, 1, bytes);
  return true;
}

// Tells the sender of what would be too long for a VTEP. Of a super-frame the first frame is
// quoted.
void Forwarder::AnswerTooBig(Port& port, const SegmentPlan& plan) {
  Network& network = *port.network;
  const Mac source = LoadBe48(plan.frame + ethernet::kSource);
  const Mac destination = LoadBe48(plan.frame + ethernet::kDestination);
  if (!IsValidSource(source) || IsGroup(destination) ||
      !IsVtepPlace(network.fdb.Lookup(destination, now_))) {
    return;
  }
  std::array<uint8_t, kMaxHeaderBytes + kMaxTooBigBytes> quoted;
  const std::span payload = WriteSegment(plan, 0, ChecksumMode::kPartial, quoted.data());
  const size_t bytes = std::min<size_t>(payload.size(), kMaxTooBigBytes);
  std::memcpy(quoted.data() + plan.header_bytes, payload.data(), bytes);
  std::array<uint8_t, kMaxTooBigBytes> answer;
  const uint32_t size = WriteTooBig(std::span(quoted.data(), plan.header_bytes + bytes),
                                    network.send_mtu, answer.data());
  if (size == 0 || !network.too_big.Admits(1, now_)) return;
  Count(&stats_.too_big_answered);
  iovec pieces[2] = {{}, {answer.data(), size}};
  WriteFrame(port, VnetHeader{}, pieces, 1, size);
}

void Forwarder::Forward(Port& port, const VnetHeader& vnet, const SegmentPlan& plan) {
  Network& network = *port.network;
  const Mac destination = LoadBe48(plan.frame + ethernet::kDestination);
  const Place place = IsGroup(destination) ? kNowhere : network.fdb.Lookup(destination, now_);
  if (place == port.place()) return stats_.CountDrop(DropReason::port_hairpin, plan.count);
  if (IsVtepPlace(place)) {
    ClampMssOf(plan, network);
    return SendTo(*VtepAt(place), plan);
  }
  if (place != kNowhere) return WriteLocal(*PortAt(place), vnet, plan);
  if (network.flooded == nullptr && network.ports->next == nullptr) {
    return stats_.CountDrop(DropReason::port_no_destination, plan.count);
  }
  if (!IsGroup(destination) && !network.unknown_unicast.Admits(plan.count, now_)) {
    return stats_.CountDrop(DropReason::port_unknown_limited, plan.count);
  }
  for (Port* other = network.ports; other != nullptr; other = other->next) {
    if (other != &port) WriteLocal(*other, vnet, plan);
  }
  ClampMssOf(plan, network);
  for (Vtep* vtep = network.flooded; vtep != nullptr; vtep = vtep->next) FloodTo(*vtep, plan);
}

// To one VTEP of several: what seals, seals from a copy.
void Forwarder::FloodTo(Vtep& vtep, const SegmentPlan& plan) {
  const bool seals =
      vtep.encapsulation == Encapsulation::kSealed && !vtep.session->path.is_unsealed;
  if (!seals) return SendTo(vtep, plan);
  SegmentPlan copy = plan;
  copy.frame = flooded_.get();
  std::memcpy(flooded_.get(), plan.frame, plan.frame_bytes);
  SendTo(vtep, copy);
}

// To another port of this host: a super-frame stays one if that device takes it.
void Forwarder::WriteLocal(Port& port, const VnetHeader& vnet, const SegmentPlan& plan) {
  if (port.vnet_bytes > 0) {
    iovec pieces[2] = {{}, {const_cast<uint8_t*>(plan.frame), plan.frame_bytes}};
    return WriteFrame(port, vnet, pieces, plan.count, plan.total_bytes());
  }
  std::array<uint8_t, kMaxHeaderBytes> header;
  for (uint32_t i = 0; i < plan.count; i++) {
    const std::span payload = WriteSegment(plan, i, ChecksumMode::kWhole, header.data());
    iovec pieces[3] = {{},
                       {header.data(), plan.header_bytes},
                       {const_cast<uint8_t*>(payload.data()), payload.size()}};
    WriteFrame(port, VnetHeader{}, pieces, 1, plan.header_bytes + payload.size());
  }
}

// What is sealed overwrites its frame.
void Forwarder::SendTo(Vtep& vtep, const SegmentPlan& plan) {
  const Destination to = DestinationOf(vtep, plan);
  const Bind* bound = sockets_.ForFamily(to.to.is_ipv6());
  if (bound == nullptr) {
    return stats_.CountDrop(DropReason::underlay_send_failed, plan.count);
  }
  if (vtep.encapsulation != Encapsulation::kSealed) return SendVxlan(vtep, to, *bound, plan);
  if (vtep.session->path.is_unsealed) return SendUnsealed(vtep, to, *bound, plan);
  SendSealed(vtep, to, *bound, plan);
}

// Sealed frames go by the path of the VTEP's host, where it has one. Who is not known to combine
// marks gets none (RFC 6040 §4.3): the underlay then drops where it would have marked.
Destination Forwarder::DestinationOf(Vtep& vtep, const SegmentPlan& plan) {
  uint8_t tos = ecn::TosOf(plan.frame, plan.layers);
  if (!vtep.takes_partial) tos &= static_cast<uint8_t>(~ecn::kMask);
  if (vtep.encapsulation != Encapsulation::kSealed) {
    return {&vtep, vtep.address, &vtep.is_plain, vtep.stats, nullptr, tos};
  }
  SendSession& session = *vtep.session;
  const SocketAddress& to = session.path.is_set ? session.path.to : vtep.address;
  return {&vtep, to, &session.is_plain, vtep.stats, session.stats, tos};
}

void Forwarder::SendVxlan(Vtep& vtep, const Destination& to, const Bind& bound,
                          const SegmentPlan& plan) {
  const int socket = bound.senders[FlowHash(plan.frame, plan.layers) % kSourcePorts].get();
  const bool is_partial = vtep.takes_partial && plan.can_stay_partial();
  ClearHeader header;
  static_assert(vxlan::kHeaderBytes == kClearHeaderBytes);
  vxlan::WriteHeader(header.data(), vtep.network->vni, is_partial);
  SendClear(to, socket, header, plan, is_partial ? ChecksumMode::kPartial : ChecksumMode::kWhole);
}

// To a host of a sealed network, on a way that both trust. Without a key there is no agreement.
void Forwarder::SendUnsealed(Vtep& vtep, const Destination& to, const Bind& bound,
                             const SegmentPlan& plan) {
  const SendKey* key = vtep.session->key;
  if (key == nullptr) return stats_.CountDrop(DropReason::sealed_no_key, plan.count);
  const bool is_partial = plan.can_stay_partial();
  ClearHeader header;
  static_assert(unsealed::kHeaderBytes == kClearHeaderBytes);
  unsealed::WriteHeader(header.data(), vtep.network->vni, key->index, is_partial);
  SendClear(to, bound.mesh[thread_].get(), header, plan,
            is_partial ? ChecksumMode::kPartial : ChecksumMode::kWhole);
}

// Each frame behind the same header; long payloads stay where the device's lie.
void Forwarder::SendClear(const Destination& to, int socket, const ClearHeader& header,
                          const SegmentPlan& plan, ChecksumMode mode) {
  constexpr uint64_t kMost = kClearHeaderBytes + kMaxHeaderBytes + kInlineBytes;
  if (!MakeRoom(plan, plan.count * kMost)) {
    return stats_.CountDrop(DropReason::underlay_queue_full, plan.count);
  }
  for (uint32_t i = 0; i < plan.count; i++) QueueClear(to, socket, header, plan, i, mode);
}

// Seals each frame from where the device's lies, which it overwrites, to its datagram: the kernel
// is then given whole messages in one piece, and the payload is not copied on the way.
void Forwarder::SendSealed(Vtep& vtep, const Destination& to, const Bind& bound,
                           const SegmentPlan& plan) {
  SendKey* key = vtep.session->key;
  if (key == nullptr) return stats_.CountDrop(DropReason::sealed_no_key, plan.count);
  const std::span relay_header = vtep.session->path.head();
  const uint64_t overhead = relay_header.size() + sealed::kOverheadBytes;
  if (!MakeRoom(plan, plan.total_bytes() + plan.count * overhead)) {
    return stats_.CountDrop(DropReason::underlay_queue_full, plan.count);
  }
  std::array<uint8_t, kMaxHeaderBytes> headers;
  std::memcpy(headers.data(), plan.headers, plan.header_bytes);
  SegmentPlan overwriting = plan;
  overwriting.headers = headers.data();
  const bool is_partial = plan.can_stay_partial();
  const ChecksumMode mode = is_partial ? ChecksumMode::kPartial : ChecksumMode::kWhole;
  for (uint32_t i = 0; i < plan.count; i++) {
    if (key->is_exhausted()) {
      return stats_.CountDrop(DropReason::sealed_key_exhausted, plan.count - i);
    }
    uint8_t* at = scratch_.get() + scratch_used_;
    auto* frame = const_cast<uint8_t*>(PlaceOf(plan, i));
    const std::span payload = WriteSegment(overwriting, i, mode, frame);
    const auto frame_bytes = static_cast<uint32_t>(plan.header_bytes + payload.size());
    std::copy(relay_header.begin(), relay_header.end(), at);
    key->Seal(thread_, std::span(frame, frame_bytes), at + relay_header.size(), vtep.network->vni,
              is_partial);
    const auto bytes = static_cast<uint32_t>(frame_bytes + overhead);
    queue_.Add(to, bound.mesh[thread_].get(), std::span(at, bytes), {}, frame_bytes);
    scratch_used_ += bytes;
  }
}

// Room for all of a super-frame's datagrams, sending what waits if need be. False if the sockets
// take nothing.
bool Forwarder::MakeRoom(const SegmentPlan& plan, uint64_t scratch_bytes) {
  if (is_blocked_) return false;
  if (queue_.has_room(plan.count) && scratch_used_ + scratch_bytes <= kScratchBytes) return true;
  SendQueued();
  return !is_blocked_;
}

void Forwarder::QueueClear(const Destination& to, int socket, const ClearHeader& header,
                           const SegmentPlan& plan, uint32_t index, ChecksumMode mode) {
  uint8_t* at = scratch_.get() + scratch_used_;
  std::copy(header.begin(), header.end(), at);
  std::span payload = WriteSegment(plan, index, mode, at + kClearHeaderBytes);
  const auto frame_bytes = static_cast<uint32_t>(plan.header_bytes + payload.size());
  uint32_t head = kClearHeaderBytes + plan.header_bytes;
  if (payload.size() <= kInlineBytes) {
    std::memcpy(at + head, payload.data(), payload.size());
    head += static_cast<uint32_t>(payload.size());
    payload = {};
  }
  queue_.Add(to, socket, std::span(at, head), payload, frame_bytes);
  scratch_used_ += head;
}

void Forwarder::SendQueued() {
  if (queue_.Send() == SendQueue::Outcome::kBlocked) {
    if (!is_blocked_) blocked_until_ = now_ + kMaxBlockedMs;
    is_blocked_ = true;
    return;
  }
  is_blocked_ = false;
  scratch_used_ = 0;
}

// A full socket says nothing of when it drains through its device's queue (ENOBUFS), so this asks
// again each millisecond instead of waiting for POLLOUT.
void Forwarder::RetryBlocked() {
  if (now_ >= blocked_until_) queue_.Abandon();
  SendQueued();
}

}  // namespace weft
