#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "spin-lock.hpp"

namespace weft {

// How many frames a second a network floods because no table knows their destination: a token
// bucket that holds one second's worth, full at the start. src/dataplane/flood-limit.ts is its
// twin.
class FloodLimit {
 public:
  explicit FloodLimit(uint32_t frames_per_second, bool is_shared = false)
      : lock_(is_shared),
        rate_(frames_per_second),
        tokens_(int64_t{frames_per_second} * kPerFrame) {}

  // Whether `frames` more may be flooded; if so, they are counted. A super-frame is not split: the
  // last one admitted may overdraw, and what follows waits until that is paid. `now` in ms.
  bool Admits(uint32_t frames, uint64_t now) {
    const std::lock_guard guard(lock_);
    // Another thread may have read the clock a little later.
    now = std::max(now, filled_at_);
    const uint64_t passed = filled_at_ == 0 ? 0 : std::min(now - filled_at_, kMaxPassedMs);
    filled_at_ = now;
    tokens_ = std::min(rate_ * kPerFrame, tokens_ + rate_ * static_cast<int64_t>(passed));
    if (tokens_ < kPerFrame) return false;
    tokens_ -= int64_t{frames} * kPerFrame;
    return true;
  }

 private:
  // Tokens are thousandths of a frame, so that a millisecond's worth is a whole number.
  static constexpr int64_t kPerFrame = 1000;
  static constexpr uint64_t kMaxPassedMs = 1'000'000;

  SpinLock lock_;
  const int64_t rate_;
  int64_t tokens_;
  uint64_t filled_at_ = 0;
};

}  // namespace weft
