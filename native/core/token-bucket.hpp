#pragma once

#include <algorithm>
#include <cstdint>

namespace weft {

// So many a second, and so many at once.
struct Rate {
  uint32_t per_second;
  uint32_t burst;
};

// A token bucket. One that was never used is as full as one that was not used for long.
class TokenBucket {
 public:
  // `now` in ms.
  bool Take(const Rate& rate, uint64_t now) {
    const uint64_t passed = std::min(now - std::min(now, filled_at_), kMaxPassedMs);
    filled_at_ = now;
    tokens_ = std::min(rate.burst * kPerDatagram,
                       tokens_ + rate.per_second * static_cast<int64_t>(passed));
    if (tokens_ < kPerDatagram) return false;
    tokens_ -= kPerDatagram;
    return true;
  }

 private:
  // Thousandths of a datagram, so that a millisecond's worth is a whole number.
  static constexpr int64_t kPerDatagram = 1000;
  static constexpr uint64_t kMaxPassedMs = 1'000'000;

  int64_t tokens_ = 0;
  uint64_t filled_at_ = 0;
};

}  // namespace weft
