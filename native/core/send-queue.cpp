#include "send-queue.hpp"

#include <linux/udp.h>
#include <netinet/in.h>

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

void SendQueue::Add(Vtep& vtep, int socket, std::span<const uint8_t> head,
                    std::span<const uint8_t> body, uint32_t frame_bytes) {
  assert(segment_count_ < kMaxSegments && message_count_ == 0);
  Bin& bin = FindBin(vtep, socket);
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

SendQueue::Bin& SendQueue::FindBin(Vtep& vtep, int socket) {
  const auto matches = [&](const Bin& bin) { return bin.vtep == &vtep && bin.socket == socket; };
  if (bin_count_ > 0 && matches(bins_[last_bin_])) return bins_[last_bin_];
  for (last_bin_ = 0; last_bin_ < bin_count_; last_bin_++) {
    if (matches(bins_[last_bin_])) return bins_[last_bin_];
  }
  assert(bin_count_ < kMaxBins);
  bins_[bin_count_++] = {&vtep, socket, kNone, kNone};
  return bins_[last_bin_];
}

SendQueue::Outcome SendQueue::Send() {
  if (message_count_ == 0) BuildMessages();
  while (next_message_ < message_count_) {
    const int sent = sendmmsg(messages_[next_message_].socket, &headers_[next_message_],
                              RunLength(), MSG_DONTWAIT);
    if (sent > 0) {
      for (int i = 0; i < sent; i++) CountSent(messages_[next_message_++]);
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
  const uint32_t limit = bin.vtep->is_plain ? 1 : kMaxSegmentsPerMessage;
  const uint32_t first_iov = iov_count_;
  Message& message = messages_[message_count_];
  message = {bin.vtep, bin.socket, first, 0, 0};
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
  header.msg_name = message.vtep->address.get();
  header.msg_namelen = message.vtep->address.size;
  header.msg_iov = &iovs_[first_iov];
  header.msg_iovlen = iov_count_ - first_iov;
  if (message.segments == 1) return;
  auto* control = reinterpret_cast<cmsghdr*>(&controls_[message_count_]);
  const auto size = static_cast<uint16_t>(segment_bytes);
  control->cmsg_level = IPPROTO_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof size);
  std::memcpy(CMSG_DATA(control), &size, sizeof size);
  header.msg_control = control;
  header.msg_controllen = sizeof(Control);
}

// Messages from the next one on that go through the same socket.
uint32_t SendQueue::RunLength() const {
  uint32_t end = next_message_ + 1;
  while (end < message_count_ && messages_[end].socket == messages_[next_message_].socket) end++;
  return end - next_message_;
}

void SendQueue::CountSent(const Message& message) {
  message.vtep->stats[thread_].CountTx(message.segments, message.frame_bytes);
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
// one of full size gets through, all that follows to this VTEP goes that way. A short one says
// nothing: it also passes where the MTU was lowered for a while, which the kernel refuses alike.
void SendQueue::SendPlain(const Message& message) {
  uint32_t at = message.first_segment;
  bool is_first_sent = false;
  for (uint32_t i = 0; i < message.segments; i++) {
    const Segment& segment = segments_[at];
    iovec pieces[2] = {{const_cast<uint8_t*>(segment.head), segment.head_bytes},
                       {const_cast<uint8_t*>(segment.body), segment.body_bytes}};
    msghdr header{};
    header.msg_name = message.vtep->address.get();
    header.msg_namelen = message.vtep->address.size;
    header.msg_iov = pieces;
    header.msg_iovlen = 2;
    if (sendmsg(message.socket, &header, MSG_DONTWAIT) < 0) {
      const bool is_full = errno == EAGAIN || errno == ENOBUFS;
      stats_.CountDrop(is_full ? DropReason::underlay_queue_full
                               : DropReason::underlay_send_failed);
    } else {
      message.vtep->stats[thread_].CountTx(1, segment.frame_bytes);
      is_first_sent |= i == 0;
    }
    at = segment.next;
  }
  if (!is_first_sent || message.vtep->is_plain.exchange(true)) return;
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
