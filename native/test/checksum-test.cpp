#include "../core/checksum.hpp"

#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

TEST(sums_of_any_length_and_alignment_agree_with_the_obvious_one) {
  Bytes bytes(2000);
  uint32_t state = 12345;
  for (uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  for (size_t at = 0; at < 9; at++) {
    for (size_t size = 0; size < 300; size++) {
      const uint16_t fast = FinishSum(SumBytes(bytes.data() + at, size));
      const uint16_t slow = SlowChecksum(std::span(bytes).subspan(at, size));
      CHECK(BigEndian16(fast) == (slow == 0 ? 0xffff : slow));
    }
  }
}

TEST(a_sum_of_all_ones_over_64_kib_does_not_overflow) {
  const Bytes bytes(65536, 0xff);
  CHECK(FoldSum(SumBytes(bytes.data(), bytes.size())) == 0xffff);
}

}  // namespace
}  // namespace weft::test
