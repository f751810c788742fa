// The replay window against a set that remembers every counter. The input is a series of steps of
// three bytes: how to choose the next counter, and by how much.
#include <set>

#include "../core/replay-window.hpp"
#include "input.hpp"

namespace weft {
namespace {

uint64_t Next(uint8_t choice, uint64_t by, uint64_t highest) {
  switch (choice % 8) {
    case 0:
      return highest + by;
    case 1:
      return highest - by;  // below zero it wraps, to where no counter is accepted
    case 2:
      return highest + (by << 12);
    case 3:
      return highest + (by << 44);
    case 4:
      return highest - ReplayWindow::kWidth + by % 4;
    case 5:
      return ReplayWindow::kMaxCounter - by;
    case 6:
      return ReplayWindow::kMaxCounter + by;
    default:
      return highest + 1;
  }
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  fuzz::Input input(data, size);
  ReplayWindow window;
  std::set<uint64_t> seen;
  while (!input.is_empty()) {
    const uint64_t highest = seen.empty() ? 0 : *seen.rbegin();
    const uint8_t choice = input.Byte();
    const uint64_t counter = Next(choice, input.Word(), highest);
    const bool is_late = counter <= highest && highest - counter >= ReplayWindow::kWidth;
    const bool is_fresh =
        counter <= ReplayWindow::kMaxCounter && !is_late && !seen.contains(counter);
    CHECK(window.IsFresh(counter) == is_fresh);
    // A forged packet is asked about and never accepted.
    if (!is_fresh || choice >= 0xf0) continue;
    window.Accept(counter);
    CHECK(!window.IsFresh(counter));
    seen.insert(counter);
  }
  return 0;
}
