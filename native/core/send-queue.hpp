#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "stats.hpp"
#include "tables.hpp"

// Datagrams on their way to other hosts. They are gathered per destination and UDP source port, so
// that one system call carries up to 64 of them (UDP_SEGMENT), and leave in the order in which they
// came.
//
//   Add ... Add  ->  Send  ->  kSent: all buffers are free again
//                         \->  kBlocked: the kernel's buffer is full; keep the buffers, call Send
//                              again when the socket is writable, or Abandon
namespace weft {

// sendmsg takes no more from one UDP_SEGMENT message, and Linux no more segments.
constexpr uint32_t kMaxSegmentsPerMessage = 64;
constexpr uint32_t kMaxMessageBytes = 65507;

// Where datagrams go, and what counts them.
struct Destination {
  // What the rest belongs to: a VTEP or a route. Datagrams of one owner share messages.
  const void* owner = nullptr;
  SocketAddress to;
  // Set once UDP_SEGMENT has failed on the way there.
  std::atomic<bool>* is_plain = nullptr;
  // One for each thread; null: they are passed on for others, and counted as relayed.
  TrafficStats* stats = nullptr;
  // Counted beside the others; null: nothing is.
  TrafficStats* path_stats = nullptr;
  // DSCP and ECN of the outer header.
  uint8_t tos = 0;
};

class SendQueue {
 public:
  enum class Outcome : uint8_t { kSent, kBlocked };

  // Counts in `stats` and in the destinations' counters of that thread.
  SendQueue(GlobalStats& stats, uint32_t thread);

  bool is_empty() const { return segment_count_ == 0; }
  // For that many datagrams to one destination.
  bool has_room(uint32_t datagrams) const {
    return segment_count_ + datagrams <= kMaxSegments && bin_count_ < kMaxBins;
  }

  // Queues one datagram: `head` then `body`, both of which stay where they are until Send is done.
  // `frame_bytes` is what the counters show. There must be room. The address is copied: a path that
  // changes while datagrams wait changes nothing for them.
  void Add(const Destination& destination, int socket, std::span<const uint8_t> head,
           std::span<const uint8_t> body, uint32_t frame_bytes);

  // Whether datagrams of that owner wait.
  bool HasAnyOf(const void* owner) const;

  Outcome Send();

  // Drops what waits, as `underlay_queue_full`.
  void Abandon();

  // Datagrams one super-frame may become, with room for a few super-frames.
  static constexpr uint32_t kMaxSegments = 4096;
  static constexpr uint32_t kMaxBins = 64;

 private:
  struct Segment {
    const uint8_t* head;
    const uint8_t* body;
    uint32_t head_bytes;
    uint32_t body_bytes;
    uint32_t frame_bytes;
    uint32_t next;  // in the same bin
  };

  struct Bin {
    Destination destination;
    int socket;
    uint32_t first;
    uint32_t last;
  };

  struct Message {
    const Destination* destination;
    int socket;
    uint32_t first_segment;
    uint32_t segments;
    uint64_t frame_bytes;
  };

  struct alignas(cmsghdr) Control {
    std::array<char, CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))> bytes;
  };

  Bin& FindBin(const Destination& destination, int socket);
  void BuildMessages();
  uint32_t BuildMessage(const Bin& bin, uint32_t first);
  void AppendPiece(const uint8_t* at, uint32_t size, uint32_t first_iov);
  static void AddControl(const Destination& destination, uint16_t segment_bytes, Control& control,
                         msghdr& header);
  void FinishMessage(const Message& message, uint32_t segment_bytes, uint32_t first_iov);
  uint32_t RunLength() const;
  void CountSent(const Destination& destination, uint32_t datagrams, uint64_t bytes);
  bool HandleError(int error);
  void SendPlain(const Message& message);
  void Reset();

  GlobalStats& stats_;
  const uint32_t thread_;
  std::unique_ptr<Segment[]> segments_;
  std::unique_ptr<iovec[]> iovs_;
  std::unique_ptr<mmsghdr[]> headers_;
  std::unique_ptr<Message[]> messages_;
  std::unique_ptr<Control[]> controls_;
  std::array<Bin, kMaxBins> bins_;
  uint32_t segment_count_ = 0;
  uint32_t bin_count_ = 0;
  uint32_t last_bin_ = 0;
  uint32_t iov_count_ = 0;
  uint32_t message_count_ = 0;
  uint32_t next_message_ = 0;
};

}  // namespace weft
