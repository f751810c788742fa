#pragma once

#include <time.h>

#include <cstdint>

namespace weft {

// Milliseconds of CLOCK_MONOTONIC.
inline uint64_t MonotonicMs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000 + static_cast<uint64_t>(time.tv_nsec) / 1000000;
}

}  // namespace weft
