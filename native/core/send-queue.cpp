#include "send-queue.hpp"

#include <linux/udp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace weft {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

}  // namespace

SendQueue::SendQueue(GlobalStats& stats, uint32_t thread)
    : stats_(stats),
      thread_(thread),
      segments_(new Segment[kMaxSegments]),
      iovs_(new iovec[size_t{2} * kMaxSegments]),
      headers_(new mmsghdr[kMaxSegments]),
      messages_(new Message[kMaxSegments]),
      controls_(new Control[kMaxSegments]) {}

void SendQueue::Add(const Destination& destination, int socket, std::span<const uint8_t> head,
                    std::span<const uint8_t> body, uint32_t frame_bytes) {
  assert(segment_count_ < kMaxSegments && message_count_ == 0);
  Bin& bin = FindBin(destination, socket);
  const uint32_t index = segment_count_++;
  segments_[index] = {head.data(),
                      body.data(),
                      static_cast<uint32_t>(head.size()),
                      static_cast<uint32_t>(body.size()),
                      frame_bytes,
                      kNone};
  (bin.first == kNone ? bin.first : segments_[bin.last].next) = index;
  bin.last = index;
}

bool SendQueue::HasAnyOf(const void* owner) const {
  const auto begin = bins_.begin();
  return std::any_of(begin, begin + bin_count_,
                     [&](const Bin& bin) { return bin.destination.owner == owner; });
}

SendQueue::Bin& SendQueue::FindBin(const Destination& destination, int socket) {
  const auto matches = [&](const Bin& bin) {
    return bin.destination.owner == destination.owner && bin.socket == socket &&
           bin.destination.tos == destination.tos;
  };
  if (bin_count_ > 0 && matches(bins_[last_bin_])) return bins_[last_bin_];
  for (last_bin_ = 0; last_bin_ < bin_count_; last_bin_++) {
    if (matches(bins_[last_bin_])) return bins_[last_bin_];
  }
  assert(bin_count_ < kMaxBins);
  bins_[bin_count_++] = {destination, socket, kNone, kNone};
  return bins_[last_bin_];
}

SendQueue::Outcome SendQueue::Send() {
  if (message_count_ == 0) BuildMessages();
  while (next_message_ < message_count_) {
    const int sent = sendmmsg(messages_[next_message_].socket, &headers_[next_message_],
                              RunLength(), MSG_DONTWAIT);
    if (sent > 0) {
      for (int i = 0; i < sent; i++) {
        const Message& message = messages_[next_message_++];
        CountSent(*message.destination, message.segments, message.frame_bytes);
      }
    } else if (!HandleError(errno)) {
      return Outcome::kBlocked;
    }
  }
  Reset();
  return Outcome::kSent;
}

void SendQueue::Abandon() {
  for (; next_message_ < message_count_; next_message_++) {
    stats_.CountDrop(DropReason::underlay_queue_full, messages_[next_message_].segments);
  }
  Reset();
}

void SendQueue::BuildMessages() {
  for (uint32_t i = 0; i < bin_count_; i++) {
    for (uint32_t at = bins_[i].first; at != kNone;) at = BuildMessage(bins_[i], at);
  }
}

// Takes as many segments of a bin as one message holds: all of equal size but the last, which may
// be shorter. Returns the first one left.
uint32_t SendQueue::BuildMessage(const Bin& bin, uint32_t first) {
  const uint32_t segment_bytes = segments_[first].head_bytes + segments_[first].body_bytes;
  const uint32_t limit = *bin.destination.is_plain ? 1 : kMaxSegmentsPerMessage;
  const uint32_t first_iov = iov_count_;
  Message& message = messages_[message_count_];
  message = {&bin.destination, bin.socket, first, 0, 0};
  uint32_t total = 0;
  uint32_t at = first;
  while (at != kNone && message.segments < limit) {
    const Segment& segment = segments_[at];
    const uint32_t bytes = segment.head_bytes + segment.body_bytes;
    if (bytes > segment_bytes || total + bytes > kMaxMessageBytes) {
      if (message.segments > 0) break;
    }
    AppendPiece(segment.head, segment.head_bytes, first_iov);
    AppendPiece(segment.body, segment.body_bytes, first_iov);
    total += bytes;
    message.segments++;
    message.frame_bytes += segment.frame_bytes;
    at = segment.next;
    if (bytes < segment_bytes) break;
  }
  FinishMessage(message, segment_bytes, first_iov);
  message_count_++;
  return at;
}

// Pieces that lie next to each other, as small or sealed datagrams do, become one.
void SendQueue::AppendPiece(const uint8_t* at, uint32_t size, uint32_t first_iov) {
  if (size == 0) return;
  if (iov_count_ > first_iov) {
    iovec& last = iovs_[iov_count_ - 1];
    if (static_cast<const uint8_t*>(last.iov_base) + last.iov_len == at) {
      last.iov_len += size;
      return;
    }
  }
  iovs_[iov_count_++] = {const_cast<uint8_t*>(at), size};
}

void SendQueue::FinishMessage(const Message& message, uint32_t segment_bytes, uint32_t first_iov) {
  msghdr& header = headers_[message_count_].msg_hdr;
  header = {};
  header.msg_name = const_cast<sockaddr*>(message.destination->to.get());
  header.msg_namelen = message.destination->to.size;
  header.msg_iov = &iovs_[first_iov];
  header.msg_iovlen = iov_count_ - first_iov;
  const auto size = message.segments == 1 ? uint16_t{0} : static_cast<uint16_t>(segment_bytes);
  AddControl(*message.destination, size, controls_[message_count_], header);
}

// What goes to the kernel beside a message: the size of its segments if it has several, and its
// class and marks if it has any. Most have neither of these.
void SendQueue::AddControl(const Destination& destination, uint16_t segment_bytes, Control& control,
                           msghdr& header) {
  size_t used = 0;
  const auto add = [&](int level, int type, const auto& value) {
    auto* at = reinterpret_cast<cmsghdr*>(control.bytes.data() + used);
    at->cmsg_level = level;
    at->cmsg_type = type;
    at->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(at), &value, sizeof value);
    used += CMSG_SPACE(sizeof value);
  };
  if (segment_bytes > 0) add(IPPROTO_UDP, UDP_SEGMENT, segment_bytes);
  if (destination.tos != 0) {
    const int tos = destination.tos;
    destination.to.is_ipv6() ? add(IPPROTO_IPV6, IPV6_TCLASS, tos) : add(IPPROTO_IP, IP_TOS, tos);
  }
  if (used == 0) return;
  header.msg_control = &control;
  header.msg_controllen = used;
}

// Messages from the next one on that go through the same socket.
uint32_t SendQueue::RunLength() const {
  uint32_t end = next_message_ + 1;
  while (end < message_count_ && messages_[end].socket == messages_[next_message_].socket) end++;
  return end - next_message_;
}

void SendQueue::CountSent(const Destination& destination, uint32_t datagrams, uint64_t bytes) {
  if (destination.stats == nullptr) {
    Count(&stats_.relayed_datagrams, datagrams);
    Count(&stats_.relayed_bytes, bytes);
    return;
  }
  destination.stats[thread_].CountTx(datagrams, bytes);
  if (destination.path_stats == nullptr) return;
  destination.path_stats[thread_].CountTx(datagrams, bytes);
}

// Acts on what sendmmsg said of the next message. False if it has to wait.
bool SendQueue::HandleError(int error) {
  const Message& message = messages_[next_message_];
  switch (error) {
    case EINTR:
      return true;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return false;
    case EIO:
    case EINVAL:
      if (message.segments > 1) {
        SendPlain(message);
        break;
      }
      [[fallthrough]];
    default:
      stats_.CountDrop(DropReason::underlay_send_failed, message.segments);
  }
  next_message_++;
  return true;
}

// The route can't do UDP_SEGMENT (no checksum offload, IPsec on the way): one call per datagram. If
// one of full size gets through, all that follows on this path goes that way. A short one says
// nothing: it also passes where the MTU was lowered for a while, which the kernel refuses alike.
void SendQueue::SendPlain(const Message& message) {
  uint32_t at = message.first_segment;
  bool is_first_sent = false;
  for (uint32_t i = 0; i < message.segments; i++) {
    const Segment& segment = segments_[at];
    iovec pieces[2] = {{const_cast<uint8_t*>(segment.head), segment.head_bytes},
                       {const_cast<uint8_t*>(segment.body), segment.body_bytes}};
    msghdr header{};
    header.msg_name = const_cast<sockaddr*>(message.destination->to.get());
    header.msg_namelen = message.destination->to.size;
    header.msg_iov = pieces;
    header.msg_iovlen = 2;
    Control control;
    AddControl(*message.destination, 0, control, header);
    if (sendmsg(message.socket, &header, MSG_DONTWAIT) < 0) {
      const bool is_full = errno == EAGAIN || errno == ENOBUFS;
      stats_.CountDrop(is_full ? DropReason::underlay_queue_full
                               : DropReason::underlay_send_failed);
    } else {
      CountSent(*message.destination, 1, segment.frame_bytes);
      is_first_sent |= i == 0;
    }
    at = segment.next;
  }
  if (!is_first_sent || message.destination->is_plain->exchange(true)) return;
  Count(&stats_.plain_vteps);
}

void SendQueue::Reset() {
  segment_count_ = 0;
  bin_count_ = 0;
  last_bin_ = 0;
  iov_count_ = 0;
  message_count_ = 0;
  next_message_ = 0;
}

}  // namespace weft
