#pragma once

#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <memory>

namespace weft {

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

// Large zeroed memory that costs nothing until it is touched. T is plain data.
template <typename T>
using ZeroedArray = std::unique_ptr<T[], FreeDeleter>;

template <typename T>
ZeroedArray<T> AllocateZeroed(size_t count) {
  auto* memory = static_cast<T*>(std::calloc(count, sizeof(T)));
  assert(memory != nullptr);
  return ZeroedArray<T>(memory);
}

}  // namespace weft
