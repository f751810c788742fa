#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "coalescer.hpp"
#include "command-queue.hpp"
#include "control-queue.hpp"
#include "envelope-gate.hpp"
#include "gate.hpp"
#include "handshake-gate.hpp"
#include "segmenter.hpp"
#include "send-queue.hpp"
#include "sockets.hpp"
#include "tables.hpp"

// A forwarder: a thread that reads its share of the TAP queues and receives from its UDP sockets.
// By default there is one, and it owns the tables as well; if there are more, the first changes the
// tables while the others wait at the gate (docs/adr/0021). A turn of its loop:
//
//   wait        epoll: sockets, ports (a nested set), the wake-up eventfd
//   receive     one batch of each readable socket: header, tables, coalescer, TAP writes
//   commands    what the control thread queued, before every batch is looked at
//   send        frames of each readable port: plan, FDB, segments, sendmmsg
//
// Each direction has a budget per turn, so that a flood from one side can't starve the other. When
// a socket's buffer is full the ports are not read, until it has room or kMaxBlockedMs have passed.
namespace weft {

// Called from a forwarder's thread when control datagrams wait.
class ControlWaker {
 public:
  virtual void Wake() = 0;

 protected:
  ~ControlWaker() = default;
};

class Forwarder;

// The forwarders of a data plane and what they share.
struct ForwarderGroup {
  explicit ForwarderGroup(uint32_t threads) : gate(threads) {}

  // For the control thread. Submit returns at once, Call when the command was carried out.
  void Submit(const Command& command);
  void Call(const Command& command);

  CommandQueue commands;
  Tables tables;
  Gate gate;
  std::vector<std::unique_ptr<Forwarder>> forwarders;
};

class Forwarder final : private FrameSink {
 public:
  // Number `thread` of the group, counted from 0. What is referred to outlives the forwarder;
  // `stats` are this thread's.
  Forwarder(ForwarderGroup& group, uint32_t thread, const Sockets& sockets, GlobalStats& stats,
            ControlWaker& waker, bool joins_udp, uint32_t fdb_max_age_ms, uint64_t hash_key);

  // The thread's whole life; returns after Stop.
  void Run();

  // For other threads. The first of a group is stopped last, for the others may wait for it.
  void Stop();
  void Wake();
  ControlQueue& control() { return control_; }

 private:
  static constexpr uint32_t kReceiveBatch = 32;
  static constexpr uint32_t kDatagramBytes = 65536;
  static constexpr uint32_t kReadBytes = 66 * 1024;
  static constexpr uint32_t kReadArenaBytes = 16 * kReadBytes;
  static constexpr uint32_t kScratchBytes = 4 << 20;
  static constexpr uint32_t kMaxReadsPerTurn = 256;
  // Payloads up to this are copied behind their headers: one piece costs the kernel less than two.
  static constexpr uint32_t kInlineBytes = 192;
  static constexpr uint64_t kMaxBlockedMs = 20;
  static constexpr int kBlockedRetryMs = 1;
  static constexpr uint64_t kMinSweepMs = 20;
  static constexpr uint64_t kMaxSweepMs = 1000;
  static constexpr uint32_t kSweepLimit = 1024;

  struct Receiver {
    enum class Kind : uint8_t { kMesh, kVxlan, kSender };
    int fd = -1;
    Kind kind = Kind::kMesh;
  };

  // What one datagram's sender is known to be, kept for the datagrams that follow it.
  struct Sender {
    AddressKey key;
    ReceiveSession* session = nullptr;
    Network* network = nullptr;
    Vtep* vtep = nullptr;
    Mac source = kNoMac;
    Mac destination = kNoMac;
    Place place = kNowhere;
  };

  // The same refusals have one name per encapsulation.
  struct InnerReasons {
    DropReason frame_short;
    DropReason frame_long;
    DropReason source_invalid;
    DropReason source_local;
    DropReason source_spoofed;
    DropReason gateway;
    DropReason ecn;
    DropReason no_port;
  };
  static const InnerReasons kVxlanReasons;
  static const InnerReasons kSealedReasons;

  void OpenEventSets();
  void Turn();
  int WaitTime() const;
  void Enter();
  void Leave();
  void ApplyCommands();
  void Apply(const Command& command);
  void ApplyVtep(const Command& command);
  void ApplyRelay(const Command& command);
  void AddPort(Port& port);
  void RemovePort(Port& port);
  void StopReading(Port& port);
  int PortEventsOf(uint32_t queue) const;
  void Flush(Network& network, Place place);
  static void Unpin(Network& network, Mac mac);
  static void UpdateEndpoint(Network& network, const EndpointUpdate& update);
  static void Snapshot(const Network& network, uint64_t now, FdbSnapshot& snapshot);
  void Sweep();

  // Underlay to ports.
  void Receive(const Receiver& receiver);
  void ReceiveMessage(const Receiver& receiver, uint32_t index);
  void ReceiveVxlan(std::span<uint8_t> datagram, Sender& sender);
  void ReceiveMesh(std::span<uint8_t> datagram, Sender& sender, uint32_t index);
  void ReceiveSealed(std::span<uint8_t> datagram, Sender& sender);
  void ReceiveUnsealed(std::span<uint8_t> datagram, Sender& sender, uint32_t index);
  bool FindSession(uint32_t index, Sender& sender);
  void DeliverFromPeer(Sender& sender, uint32_t vni, std::span<uint8_t> frame,
                       InnerChecksum checksum);
  void ReceiveControl(std::span<const uint8_t> datagram, uint32_t index);
  void ReceiveRelayed(std::span<uint8_t> datagram, const sockaddr_storage& from);
  void SendRelayed();
  bool FindSender(uint32_t vni, Sender& sender);
  void Deliver(Sender& sender, std::span<uint8_t> frame, InnerChecksum checksum,
               const InnerReasons& reasons);
  void Flood(Network& network, std::span<uint8_t> frame, InnerChecksum checksum,
             const InnerReasons& reasons);
  void DeliverTo(Port& port, std::span<uint8_t> frame, InnerChecksum checksum);
  void DeliverSuperFrame(Port& port, std::span<uint8_t> frame);
  void WriteFrame(Port& port, const VnetHeader& vnet, std::span<iovec> pieces, uint32_t frames,
                  uint64_t bytes) override;

  // Ports to underlay and to other ports.
  void ReadPorts();
  void ReadQueue(const Queue& queue);
  void Ingress(Port& port, std::span<const uint8_t> bytes);
  bool AnswerNeighbour(Port& port, const SegmentPlan& plan);
  void AnswerTooBig(Port& port, const SegmentPlan& plan);
  void Forward(Port& port, const VnetHeader& vnet, const SegmentPlan& plan);
  void WriteLocal(Port& port, const VnetHeader& vnet, const SegmentPlan& plan);
  void SendTo(Vtep& vtep, const SegmentPlan& plan);
  void FloodTo(Vtep& vtep, const SegmentPlan& plan);
  static Destination DestinationOf(Vtep& vtep, const SegmentPlan& plan);
  void SendVxlan(Vtep& vtep, const Destination& to, const Bind& bound, const SegmentPlan& plan);
  void SendUnsealed(Vtep& vtep, const Destination& to, const Bind& bound, const SegmentPlan& plan);
  void SendSealed(Vtep& vtep, const Destination& to, const Bind& bound, const SegmentPlan& plan);
  bool MakeRoom(const SegmentPlan& plan, uint64_t scratch_bytes);
  // Of what is sent in the clear.
  static constexpr uint32_t kClearHeaderBytes = 8;
  using ClearHeader = std::array<uint8_t, kClearHeaderBytes>;
  void SendClear(const Destination& to, int socket, const ClearHeader& header,
                 const SegmentPlan& plan, ChecksumMode mode);
  void QueueClear(const Destination& to, int socket, const ClearHeader& header,
                  const SegmentPlan& plan, uint32_t index, ChecksumMode mode);
  void SendQueued();
  void RetryBlocked();

  Fdb::Learned Learn(Network& network, Mac mac, Place place);

  ForwarderGroup& group_;
  const uint32_t thread_;
  const Sockets& sockets_;
  GlobalStats& stats_;
  ControlWaker& waker_;
  ControlQueue control_;
  Tables& tables_;
  Coalescer coalescer_;
  SendQueue queue_;
  // What was received for others: sent before the next batch is, from where it lies.
  SendQueue relay_queue_;
  OwnedFd wake_;
  OwnedFd events_;
  OwnedFd port_events_;
  std::array<Receiver, kMaxBinds*(kSourcePorts + 2)> receivers_;
  uint32_t receiver_count_ = 0;
  std::atomic<bool> is_running_ = true;
  uint64_t now_ = 0;
  handshake::Gate handshakes_;
  envelope::Gate envelopes_;
  const uint64_t sweep_ms_;
  uint64_t next_sweep_ = 0;
  bool is_blocked_ = false;
  uint64_t blocked_until_ = 0;
  uint32_t arena_used_ = 0;
  uint32_t scratch_used_ = 0;
  uint32_t reads_left_ = 0;
  bool wakes_control_ = false;
  // Of the message that is being taken apart.
  uint8_t outer_tos_ = 0;

  std::unique_ptr<uint8_t[]> arena_;
  std::unique_ptr<uint8_t[]> scratch_;
  std::unique_ptr<uint8_t[]> flooded_;
  std::unique_ptr<uint8_t[]> datagrams_;
  std::array<mmsghdr, kReceiveBatch> messages_{};
  std::array<iovec, kReceiveBatch> message_iovs_{};
  std::array<sockaddr_storage, kReceiveBatch> senders_{};
  struct alignas(cmsghdr) Control {
    std::array<char, 64> bytes;
  };
  std::array<Control, kReceiveBatch> controls_{};
};

}  // namespace weft
