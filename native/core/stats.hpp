#pragma once

#include <atomic>
#include <cstdint>

#include "drop-reason.hpp"

// Counters live in memory that JavaScript allocated and reads at any time. One thread writes each
// slot, so an increment is a relaxed load and store: no locked instruction, no torn value.
namespace weft {

using StatSlot = uint64_t;

inline void Store(StatSlot* slot, uint64_t value) {
  std::atomic_ref<StatSlot>(*slot).store(value, std::memory_order_relaxed);
}
inline uint64_t Load(StatSlot& slot) {
  return std::atomic_ref<StatSlot>(slot).load(std::memory_order_relaxed);
}
inline void Count(StatSlot* slot, uint64_t amount = 1) { Store(slot, Load(*slot) + amount); }

// Frames and bytes of frames through a port, a VTEP or a peer's path, as one thread counts them:
// slots in this order, and some that keep another thread's from the same cache line.
struct TrafficStats {
  StatSlot rx_frames = 0;
  StatSlot rx_bytes = 0;
  StatSlot tx_frames = 0;
  StatSlot tx_bytes = 0;
  // Of a peer: when it last sent something, in ms of CLOCK_MONOTONIC.
  StatSlot last_rx_ms = 0;
  StatSlot unused[3] = {};

  void CountRx(uint64_t frames, uint64_t bytes) {
    Count(&rx_frames, frames);
    Count(&rx_bytes, bytes);
  }
  void CountTx(uint64_t frames, uint64_t bytes) {
    Count(&tx_frames, frames);
    Count(&tx_bytes, bytes);
  }
};
static_assert(sizeof(TrafficStats) == 8 * sizeof(StatSlot));

// Counters of the whole data plane, as one thread counts them, in this order.
struct GlobalStats {
  StatSlot drops[kDropReasonCount] = {};
  StatSlot fdb_learned = 0;
  StatSlot fdb_moved = 0;
  StatSlot fdb_aged = 0;
  StatSlot fdb_evicted = 0;
  StatSlot fdb_flushed = 0;
  // VTEPs toward which UDP_SEGMENT failed, so that each datagram is sent on its own.
  StatSlot plain_vteps = 0;
  // Control datagrams that the socket refused; the one slot that the control thread writes, in the
  // first thread's counters.
  StatSlot control_send_failed = 0;
  // Questions answered for endpoints on other hosts.
  StatSlot arp_answered = 0;
  StatSlot nd_answered = 0;
  // Passed on for others.
  StatSlot relayed_datagrams = 0;
  StatSlot relayed_bytes = 0;
  // Stations told that their packets are too long.
  StatSlot too_big_answered = 0;

  void CountDrop(DropReason reason, uint64_t amount = 1) {
    Count(&drops[static_cast<size_t>(reason)], amount);
  }
};
static_assert(sizeof(GlobalStats) == (kDropReasonCount + 12) * sizeof(StatSlot));

}  // namespace weft
