#pragma once

#include <algorithm>
#include <cstdint>

namespace weft {

// So many a second, and so many at once.
struct Rate {
  uint32_t per_second;
  uint32_t burst;
};

// A token bucket, full at the start.
class TokenBucket {
 public:
  // Whether there is one more; if so, `count` are taken: the last ones may overdraw, and what
  // follows waits until that is paid. `now` in ms, above 0; another thread may have read the clock
  // a little later.
  bool Take(const Rate& rate, uint64_t now, uint32_t count = 1) {
    now = std::max(now, filled_at_);
    const uint64_t passed = std::min(now - filled_at_, kMaxPassedMs);
    const int64_t most = rate.burst * kPerToken;
    const int64_t refill = rate.per_second * static_cast<int64_t>(passed);
    tokens_ = filled_at_ == 0 ? most : std::min(most, tokens_ + refill);
    filled_at_ = now;
    if (tokens_ < kPerToken) return false;
    tokens_ -= count * kPerToken;
    return true;
  }

 private:
  // Thousandths, so that a millisecond's worth is a whole number.
  static constexpr int64_t kPerToken = 1000;
  static constexpr uint64_t kMaxPassedMs = 1'000'000;

  int64_t tokens_ = 0;
  uint64_t filled_at_ = 0;
};

}  // namespace weft
