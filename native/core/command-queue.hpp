#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "tables.hpp"

namespace weft {

struct ReceiveSession;
struct SendSession;
struct SendKey;
struct Path;
class UnsealedSources;

struct FdbRow {
  Mac mac;
  uint64_t age;
  uint32_t place_id;  // of a port or a VTEP
  bool is_vtep;
  bool is_pinned;
};

// Where a copy of an FDB goes. The control thread provides the room; `count` tells how much was
// needed, and if that is more than there is, only the first rows are there.
struct FdbSnapshot {
  FdbRow* rows;
  uint32_t capacity;
  uint32_t count;
};

// A change to the forwarder's tables. Pointers are to objects that the control thread made; it
// frees them after the command that removes them was carried out.
struct Command {
  enum class Kind : uint8_t {
    kAddNetwork,
    kSetSendMtu,
    kRemoveNetwork,
    kAddPort,
    kRemovePort,
    kAddVtep,
    kMoveVtep,
    kConfigureVtep,
    kFloodVtep,
    kRemoveVtep,
    kPin,
    kUnpin,
    kSetGateway,
    kUpdateEndpoints,
    kSnapshotFdb,
    kAddSession,
    kRemoveSession,
    kSetSendKey,
    kSetPath,
    kSetUnsealedSources,
    kAddRoute,
    kMoveRoute,
    kRemoveRoute,
    kSetRelayPeers,
    kSetHandshakeKeys,
    kSetEnvelopeKeys,
    kFence,
  };

  Kind kind = Kind::kFence;
  Network* network = nullptr;
  Port* port = nullptr;
  Vtep* vtep = nullptr;
  Mac mac = 0;
  uint32_t mtu = 0;  // kSetSendMtu
  FdbSnapshot* snapshot = nullptr;
  SocketAddress address{};                  // kMoveVtep, kMoveRoute
  bool takes_partial = false;               // kConfigureVtep
  bool floods = false;                      // kFloodVtep
  std::span<const EndpointUpdate> updates;  // kUpdateEndpoints
  Gateway gateway{};                        // kSetGateway
  SendSession* send_session = nullptr;      // kSetSendKey, kSetPath
  SendKey* send_key = nullptr;              // kSetSendKey
  ReceiveSession* session = nullptr;        // kAddSession, kRemoveSession
  const Path* path = nullptr;               // kSetPath; copied
  UnsealedSources* unsealed = nullptr;      // kSetUnsealedSources: becomes the next one
  const UnsealedSources* sources = nullptr;
  RelayRoute* route = nullptr;
  bool is_last = false;                             // kMoveRoute
  const relay::Peers* relay_peers = nullptr;        // kSetRelayPeers
  const handshake::Keys* handshake_keys = nullptr;  // kSetHandshakeKeys
  const envelope::Keys* envelope_keys = nullptr;    // kSetEnvelopeKeys
};

// Commands from the control thread to the forwarder's: one writer, one reader. The writer may wait,
// the reader never does.
class CommandQueue {
 public:
  // Waits while the ring is full. Returns the command's number.
  uint64_t Push(const Command& command) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    for (uint64_t head = head_.load(std::memory_order_acquire); tail - head == kCapacity;
         head = head_.load(std::memory_order_acquire)) {
      head_.wait(head, std::memory_order_acquire);
    }
    ring_[tail % kCapacity] = command;
    tail_.store(tail + 1, std::memory_order_release);
    return tail;
  }

  // For any thread: the number of the next command. Those below it that were not carried out yet
  // are pending.
  uint64_t next_number() const { return tail_.load(std::memory_order_acquire); }
  bool has_pending() const {
    return head_.load(std::memory_order_acquire) != tail_.load(std::memory_order_acquire);
  }

  // Until the command of that number, and all before it, were carried out.
  void WaitFor(uint64_t number) {
    for (uint64_t head = head_.load(std::memory_order_acquire); head <= number;
         head = head_.load(std::memory_order_acquire)) {
      head_.wait(head, std::memory_order_acquire);
    }
  }

  // Calls run(command) for each that waits, in order. One atomic load when none does.
  template <typename Run>
  void Drain(Run run) {
    uint64_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return;
    do {
      run(ring_[head % kCapacity]);
      head_.store(++head, std::memory_order_release);
    } while (head != tail_.load(std::memory_order_acquire));
    head_.notify_all();
  }

 private:
  static constexpr uint64_t kCapacity = 256;

  std::array<Command, kCapacity> ring_;
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace weft
