// From the ports to the underlay and to each other.
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "forwarder.hpp"
#include "neighbour-answer.hpp"
#include "sealed.hpp"
#include "vxlan.hpp"

namespace weft {
namespace {

constexpr int kMaxPortEvents = 64;

VnetHeader ReadVnet(const uint8_t* at, uint32_t bytes) {
  VnetHeader vnet;
  std::memcpy(&vnet, at, std::min<size_t>(bytes, sizeof vnet));
  return vnet;
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
  switch (PlanSegments(vnet, bytes.subspan(port.vnet_bytes), port.network->mtu, plan)) {
    case PlanResult::kInvalid:
      return stats_.CountDrop(DropReason::port_offload_invalid);
    case PlanResult::kTooLong:
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

void Forwarder::Forward(Port& port, const VnetHeader& vnet, const SegmentPlan& plan) {
  Network& network = *port.network;
  const Mac destination = LoadBe48(plan.frame + ethernet::kDestination);
  const Place place = IsGroup(destination) ? kNowhere : network.fdb.Lookup(destination, now_);
  if (place == port.place()) return stats_.CountDrop(DropReason::port_hairpin, plan.count);
  if (IsVtepPlace(place)) return SendTo(*VtepAt(place), plan);
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
  for (Vtep* vtep = network.flooded; vtep != nullptr; vtep = vtep->next) FloodTo(*vtep, plan);
}

// To one VTEP of several: what seals, seals from a copy.
void Forwarder::FloodTo(Vtep& vtep, const SegmentPlan& plan) {
  if (vtep.encapsulation != Encapsulation::kSealed) return SendTo(vtep, plan);
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

// A sealed VTEP's own frame is overwritten.
void Forwarder::SendTo(Vtep& vtep, const SegmentPlan& plan) {
  const Bind* bound = sockets_.ForFamily(vtep.address.is_ipv6());
  if (bound == nullptr) {
    return stats_.CountDrop(DropReason::underlay_send_failed, plan.count);
  }
  if (vtep.encapsulation == Encapsulation::kSealed) return SendSealed(vtep, *bound, plan);
  SendVxlan(vtep, *bound, plan);
}

void Forwarder::SendVxlan(Vtep& vtep, const Bind& bound, const SegmentPlan& plan) {
  constexpr uint64_t kMost = vxlan::kHeaderBytes + kMaxHeaderBytes + kInlineBytes;
  if (!MakeRoom(plan, plan.count * kMost)) {
    return stats_.CountDrop(DropReason::underlay_queue_full, plan.count);
  }
  const int socket = bound.senders[FlowHash(plan.frame, plan.layers) % kSourcePorts].get();
  const ChecksumMode mode =
      vtep.takes_partial && plan.can_stay_partial() ? ChecksumMode::kPartial : ChecksumMode::kWhole;
  for (uint32_t i = 0; i < plan.count; i++) QueueVxlan(vtep, socket, plan, i, mode);
}

// Seals each frame from where the device's lies, which it overwrites, to its datagram: the kernel
// is then given whole messages in one piece, and the payload is not copied on the way.
void Forwarder::SendSealed(Vtep& vtep, const Bind& bound, const SegmentPlan& plan) {
  SendKey* key = vtep.session->key;
  if (key == nullptr) return stats_.CountDrop(DropReason::sealed_no_key, plan.count);
  if (!MakeRoom(plan, plan.total_bytes() + uint64_t{plan.count} * sealed::kOverheadBytes)) {
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
    key->Seal(thread_, std::span(frame, frame_bytes), at, vtep.network->vni, is_partial);
    const uint32_t bytes = frame_bytes + sealed::kOverheadBytes;
    queue_.Add(vtep, bound.mesh[thread_].get(), std::span(at, bytes), {}, frame_bytes);
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

void Forwarder::QueueVxlan(Vtep& vtep, int socket, const SegmentPlan& plan, uint32_t index,
                           ChecksumMode mode) {
  uint8_t* at = scratch_.get() + scratch_used_;
  vxlan::WriteHeader(at, vtep.network->vni, mode == ChecksumMode::kPartial);
  std::span payload = WriteSegment(plan, index, mode, at + vxlan::kHeaderBytes);
  const auto frame_bytes = static_cast<uint32_t>(plan.header_bytes + payload.size());
  uint32_t head = vxlan::kHeaderBytes + plan.header_bytes;
  if (payload.size() <= kInlineBytes) {
    std::memcpy(at + head, payload.data(), payload.size());
    head += static_cast<uint32_t>(payload.size());
    payload = {};
  }
  queue_.Add(vtep, socket, std::span(at, head), payload, frame_bytes);
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
