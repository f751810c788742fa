#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "../core/endian.hpp"
#include "../test/test.hpp"

// What the fuzz targets share. A target is one function over the fuzzer's bytes; a CHECK that fails
// ends it like a crash.
namespace weft::fuzz {

using test::Fail;

// The fuzzer's bytes as a series of choices. Behind their end all is zero, so every input means
// something.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool is_empty() const { return left_.empty(); }

  uint8_t Byte() {
    const std::span<const uint8_t> one = Take(1);
    return one.empty() ? uint8_t{0} : one[0];
  }
  uint16_t Word() { return static_cast<uint16_t>(Byte() << 8 | Byte()); }

  // Up to `size` bytes, where they lie.
  std::span<const uint8_t> Take(size_t size) {
    const auto taken = left_.first(std::min(size, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> left_;
};

}  // namespace weft::fuzz
