#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "cipher.hpp"
#include "endian.hpp"
#include "gate.hpp"
#include "relay.hpp"
#include "replay-window.hpp"
#include "spin-lock.hpp"
#include "tables.hpp"
#include "unsealed.hpp"

// Sealed frames: Weft's own encapsulation, on the mesh port. Big-endian.
//
//   0       8                              32
//   | 0 0 1 0 | 0 0 0 P |     VNI (24)      |   kind: 0x20, or 0x21 with P
//   |          receiver index (32)          |   names the receiver's key; the receiver chose it
//   |             counter (64)              |   of this key, each value used once
//   |                                       |
//   |     Ethernet frame, encrypted ...     |
//   |               tag (128)               |
//
// P: the inner TCP or UDP checksum field holds the folded pseudo-header sum, and the receiver
// completes it. The 16 bytes of header are the AEAD's associated data, all of them.
namespace weft {

namespace sealed {

constexpr uint32_t kHeaderBytes = 16;
constexpr uint32_t kOverheadBytes = kHeaderBytes + kCipherTagBytes;
constexpr uint8_t kKind = 0x20;
constexpr uint8_t kFlagPartial = 0x01;
constexpr uint32_t kKindAt = 0;
constexpr uint32_t kVniAt = 1;
constexpr uint32_t kIndexAt = 4;
constexpr uint32_t kCounterAt = 8;

inline bool IsSealed(uint8_t first_byte) {
  return (first_byte & static_cast<uint8_t>(~kFlagPartial)) == kKind;
}

}  // namespace sealed

// A key that we seal with. Its threads share one row of counters, so that none is used twice.
struct SendKey {
  // One for each thread.
  std::array<std::unique_ptr<Cipher>, kMaxThreads> ciphers;
  // The peer's name for it.
  uint32_t index = 0;
  std::atomic<uint64_t> next_counter = 0;

  // Threads that ask at the same time may each take one counter more; kMaxCounter leaves room.
  bool is_exhausted() const {
    return next_counter.load(std::memory_order_relaxed) > ReplayWindow::kMaxCounter;
  }

  // Seals a frame into a datagram, which has room for it and kOverheadBytes more. The frame may lie
  // in its place in the datagram, or not touch the datagram at all.
  void Seal(uint32_t thread, std::span<const uint8_t> frame, uint8_t* datagram, uint32_t vni,
            bool is_partial) {
    using namespace sealed;
    const uint64_t counter = next_counter.fetch_add(1, std::memory_order_relaxed);
    datagram[kKindAt] = static_cast<uint8_t>(kKind | (is_partial ? kFlagPartial : 0));
    StoreBe24(datagram + kVniAt, vni);
    StoreBe32(datagram + kIndexAt, index);
    StoreBe64(datagram + kCounterAt, counter);
    ciphers[thread]->Seal(Nonce(counter), std::span<const uint8_t>(datagram, kHeaderBytes), frame,
                          datagram + kHeaderBytes);
  }
};

// How datagrams reach a peer.
struct Path {
  // False: straight to the VTEP's address.
  bool is_set = false;
  SocketAddress to;
  // `to` is a relay, and each datagram begins with this header.
  bool is_relayed = false;
  std::array<uint8_t, relay::kHeaderBytes> header{};
  // Frames go there in the clear; never by a relay.
  bool is_unsealed = false;

  std::span<const uint8_t> head() const {
    return std::span(header).first(is_relayed ? header.size() : 0);
  }
};

// What is sealed for a peer goes by this; its key and its path change under it, between batches.
struct SendSession {
  SendKey* key = nullptr;
  Path path;
  // UDP_SEGMENT failed on that path.
  std::atomic<bool> is_plain = false;
  // Of all its VTEPs, one for each thread; the peer's.
  TrafficStats* stats = nullptr;
};

// A key that a peer seals with for us. All that a peer seals comes to one socket and so to one
// thread, but whoever forges its name may choose another.
struct ReceiveSession {
  explicit ReceiveSession(bool is_shared = false) : lock(is_shared) {}

  SpinLock lock;
  std::unique_ptr<Cipher> cipher;
  uint32_t index = 0;
  // The peer's VTEP address.
  AddressKey peer;
  // Of the peer, one for each thread.
  TrafficStats* stats = nullptr;
  // The peer's.
  const UnsealedSources* unsealed = nullptr;
  ReplayWindow window;
  ReceiveSession* next_in_bucket = nullptr;

  enum class Opened : uint8_t { kOk, kReplayed, kForged };

  // Opens a datagram of at least kOverheadBytes in place.
  Opened Open(std::span<uint8_t> datagram) {
    using namespace sealed;
    const std::lock_guard guard(lock);
    const uint64_t counter = LoadBe64(&datagram[kCounterAt]);
    if (!window.IsFresh(counter)) return Opened::kReplayed;
    const auto frame = datagram.subspan(kHeaderBytes, datagram.size() - kOverheadBytes);
    if (!cipher->Open(Nonce(counter), datagram.first(kHeaderBytes), frame,
                      frame.data() + frame.size())) {
      return Opened::kForged;
    }
    window.Accept(counter);
    return Opened::kOk;
  }
};

}  // namespace weft
