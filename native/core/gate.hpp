#pragma once

#include <sched.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace weft {

// Threads that forward, most of all: sockets, queues and counters are arrays of so many.
constexpr uint32_t kMaxThreads = 8;

// Lets the first forwarder change tables that all of them read. The others pass through the gate
// for the length of a batch, with one store and one load; to change something, the first shuts it
// and waits until nobody is inside.
//
//   others:  Enter ... batch ... Leave          first:  Shut ... change ... Open
//
// With a single thread nothing of it costs anything. Never held by the first thread itself, which
// alone shuts it.
class Gate {
 public:
  explicit Gate(uint32_t threads) : threads_(threads) {}

  // Waits while the gate is shut. `thread` is not 0.
  void Enter(uint32_t thread) {
    Lane& lane = lanes_[thread];
    while (true) {
      // Sequentially consistent, as in Shut: one of the two sees the other's store.
      lane.is_inside.store(true);
      if (!is_shut_.load()) return;
      lane.is_inside.store(false);
      is_shut_.wait(true);
    }
  }

  void Leave(uint32_t thread) { lanes_[thread].is_inside.store(false, std::memory_order_release); }

  void Shut() {
    if (threads_ == 1) return;
    is_shut_.store(true);
    for (uint32_t thread = 1; thread < threads_; thread++) {
      while (lanes_[thread].is_inside.load()) sched_yield();
    }
  }

  void Open() {
    if (threads_ == 1) return;
    is_shut_.store(false);
    is_shut_.notify_all();
  }

 private:
  struct alignas(64) Lane {
    std::atomic<bool> is_inside{false};
  };

  const uint32_t threads_;
  std::atomic<bool> is_shut_{false};
  std::array<Lane, kMaxThreads> lanes_;
};

}  // namespace weft
