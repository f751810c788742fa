#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

namespace weft {

// Guards what several forwarders share for some ten nanoseconds at a time. Where only one thread
// comes by, it does nothing. Fits std::lock_guard.
class SpinLock {
 public:
  explicit SpinLock(bool is_needed) : is_needed_(is_needed) {}

  void lock() {
    if (!is_needed_) return;
    for (uint32_t tries = 1; is_held_.test_and_set(std::memory_order_acquire); tries++) {
      // The holder may have lost its processor, perhaps to this very loop.
      if (tries % kTriesPerYield == 0) sched_yield();
    }
  }

  void unlock() {
    if (is_needed_) is_held_.clear(std::memory_order_release);
  }

 private:
  static constexpr uint32_t kTriesPerYield = 64;

  const bool is_needed_;
  std::atomic_flag is_held_;
};

}  // namespace weft
