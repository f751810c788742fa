#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

// Which counters of a key were seen (RFC 6479): a ring of 64-bit blocks, cleared block by block as
// the highest counter moves on, never shifted. A counter is accepted once, in any order, as long as
// it is less than kWidth below the highest.
class ReplayWindow {
 public:
  static constexpr uint64_t kBlocks = 256;
  static constexpr uint64_t kBlockBits = 64;
  // One block is always being cleared.
  static constexpr uint64_t kWidth = (kBlocks - 1) * kBlockBits;
  static_assert(kWidth >= 8192);
  // A key's last counters are never used, so that none can wrap.
  static constexpr uint64_t kMaxCounter = UINT64_MAX - kBlocks * kBlockBits;

  bool IsFresh(uint64_t counter) const {
    if (counter > kMaxCounter) return false;
    if (counter >= next_) return true;
    if (next_ - 1 - counter >= kWidth) return false;
    return (blocks_[BlockOf(counter)] & MaskOf(counter)) == 0;
  }

  // Marks a counter that was fresh and whose packet was authentic.
  void Accept(uint64_t counter) {
    if (counter >= next_) {
      Advance(counter);
      next_ = counter + 1;
    }
    blocks_[BlockOf(counter)] |= MaskOf(counter);
  }

 private:
  static size_t BlockOf(uint64_t counter) { return counter / kBlockBits % kBlocks; }
  static uint64_t MaskOf(uint64_t counter) { return uint64_t{1} << counter % kBlockBits; }

  // Clears the blocks that the window enters.
  void Advance(uint64_t counter) {
    uint64_t block = next_ == 0 ? 0 : (next_ - 1) / kBlockBits;
    const uint64_t last = counter / kBlockBits;
    if (last - block > kBlocks) block = last - kBlocks;
    while (block < last) blocks_[++block % kBlocks] = 0;
  }

  // One above the highest counter accepted.
  uint64_t next_ = 0;
  std::array<uint64_t, kBlocks> blocks_{};
};

}  // namespace weft
