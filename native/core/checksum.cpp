#include "checksum.hpp"

namespace weft {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr size_t kLanes = kBlockBytes / sizeof(uint64_t);

// Eight independent accumulators that the compiler turns into vector adds. Each addition is below
// 2^33, so no lane can overflow within any frame.
[[gnu::always_inline]] inline ChecksumSum SumBlocks(const uint8_t* at, size_t size) {
  uint64_t lanes[kLanes] = {};
  for (const uint8_t* end = at + size; at < end; at += kBlockBytes) {
    for (size_t i = 0; i < kLanes; i++) {
      const auto word = LoadNative<uint64_t>(at + i * sizeof(uint64_t));
      lanes[i] += (word & 0xffffffff) + (word >> 32);
    }
  }
  ChecksumSum sum = 0;
  for (const uint64_t lane : lanes) sum += lane;
  return sum;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] ChecksumSum SumBlocksAvx2(const uint8_t* at, size_t size) {
  return SumBlocks(at, size);
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif

ChecksumSum SumWholeBlocks(const uint8_t* at, size_t size) {
#if defined(__x86_64__)
  if (has_avx2) return SumBlocksAvx2(at, size);
#endif
  return SumBlocks(at, size);
}

}  // namespace

ChecksumSum SumBytes(const uint8_t* at, size_t size, ChecksumSum start) {
  ChecksumSum sum = start;
  const size_t whole = size & ~(kBlockBytes - 1);
  if (whole > 0) sum += SumWholeBlocks(at, whole);
  at += whole;
  size -= whole;
  for (; size >= 4; at += 4, size -= 4) sum += LoadNative<uint32_t>(at);
  if (size >= 2) {
    sum += LoadNative<uint16_t>(at);
    at += 2;
    size -= 2;
  }
  if (size == 1) {
    const uint8_t last[2] = {*at, 0};
    sum += LoadNative<uint16_t>(last);
  }
  return sum;
}

}  // namespace weft
