#include "blake2s.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "endian.hpp"

namespace weft {
namespace {

// RFC 7693 §2.6: those of SHA-256.
constexpr std::array<uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
// §2.5: a digest of 32 bytes, no key, fanout and depth 1.
constexpr uint32_t kParameters = 0x01010000 | kBlake2sBytes;

// §2.7.
constexpr uint8_t kSigma[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

constexpr uint32_t LittleEndian32(uint32_t value) {
  return std::endian::native == std::endian::little ? value : __builtin_bswap32(value);
}

// §3.1.
void Mix(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d, uint32_t x, uint32_t y) {
  a += b + x;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 12);
  a += b + y;
  d = std::rotr(d ^ a, 8);
  c += d;
  b = std::rotr(b ^ c, 7);
}

}  // namespace

Blake2s::Blake2s() : state_(kInitial) { state_[0] ^= kParameters; }

void Blake2s::Update(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    // The last block is marked as such, so a full one waits until more comes.
    if (filled_ == kBlake2sBlockBytes) Compress(false);
    const size_t taken = std::min<size_t>(bytes.size(), kBlake2sBlockBytes - filled_);
    std::memcpy(block_.data() + filled_, bytes.data(), taken);
    filled_ += static_cast<uint32_t>(taken);
    total_ += taken;
    bytes = bytes.subspan(taken);
  }
}

Blake2sDigest Blake2s::Finish() {
  std::fill(block_.begin() + filled_, block_.end(), uint8_t{0});
  Compress(true);
  Blake2sDigest digest;
  for (size_t i = 0; i < state_.size(); i++) {
    StoreNative(&digest[i * 4], LittleEndian32(state_[i]));
  }
  return digest;
}

// §3.2.
void Blake2s::Compress(bool is_last) {
  std::array<uint32_t, 16> words;
  for (size_t i = 0; i < words.size(); i++) {
    words[i] = LittleEndian32(LoadNative<uint32_t>(&block_[i * 4]));
  }
  std::array<uint32_t, 16> v;
  std::copy(state_.begin(), state_.end(), v.begin());
  std::copy(kInitial.begin(), kInitial.end(), v.begin() + 8);
  v[12] ^= static_cast<uint32_t>(total_);
  v[13] ^= static_cast<uint32_t>(total_ >> 32);
  if (is_last) v[14] = ~v[14];
  for (const auto& s : kSigma) {
    Mix(v[0], v[4], v[8], v[12], words[s[0]], words[s[1]]);
    Mix(v[1], v[5], v[9], v[13], words[s[2]], words[s[3]]);
    Mix(v[2], v[6], v[10], v[14], words[s[4]], words[s[5]]);
    Mix(v[3], v[7], v[11], v[15], words[s[6]], words[s[7]]);
    Mix(v[0], v[5], v[10], v[15], words[s[8]], words[s[9]]);
    Mix(v[1], v[6], v[11], v[12], words[s[10]], words[s[11]]);
    Mix(v[2], v[7], v[8], v[13], words[s[12]], words[s[13]]);
    Mix(v[3], v[4], v[9], v[14], words[s[14]], words[s[15]]);
  }
  for (size_t i = 0; i < state_.size(); i++) state_[i] ^= v[i] ^ v[i + 8];
  filled_ = 0;
}

HmacBlake2s::HmacBlake2s(std::span<const uint8_t> key) {
  constexpr uint8_t kInnerPad = 0x36;
  constexpr uint8_t kOuterPad = 0x5c;
  assert(key.size() <= kBlake2sBlockBytes);
  std::array<uint8_t, kBlake2sBlockBytes> pad{};
  std::copy(key.begin(), key.end(), pad.begin());
  for (uint8_t& byte : pad) byte ^= kInnerPad;
  inner_.Update(pad);
  for (uint8_t& byte : pad) byte ^= kInnerPad ^ kOuterPad;
  outer_.Update(pad);
}

Blake2sDigest HmacBlake2s::Of(std::span<const uint8_t> message) const {
  Blake2s inner = inner_;
  inner.Update(message);
  Blake2s outer = outer_;
  outer.Update(inner.Finish());
  return outer.Finish();
}

}  // namespace weft
