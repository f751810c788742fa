#pragma once

#include <cstdint>
#include <mutex>

#include "spin-lock.hpp"
#include "token-bucket.hpp"

namespace weft {

// How many frames a second a network floods because no table knows their destination: a token
// bucket that holds one second's worth, full at the start. src/dataplane/flood-limit.ts is its
// twin.
class FloodLimit {
 public:
  explicit FloodLimit(uint32_t frames_per_second, bool is_shared = false)
      : lock_(is_shared), rate_{.per_second = frames_per_second, .burst = frames_per_second} {}

  // Whether `frames` more may be flooded; if so, they are counted. A super-frame is not split.
  // `now` in ms.
  bool Admits(uint32_t frames, uint64_t now) {
    const std::lock_guard guard(lock_);
    return bucket_.Take(rate_, now, frames);
  }

 private:
  SpinLock lock_;
  const Rate rate_;
  TokenBucket bucket_;
};

}  // namespace weft
