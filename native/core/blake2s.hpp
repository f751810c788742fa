#pragma once

#include <array>
#include <cstdint>
#include <span>

// BLAKE2s-256 without a key (RFC 7693), and HMAC with it (RFC 2104): for datagrams that must cost
// nothing but a hash. No allocation, no context to look up.
namespace weft {

constexpr uint32_t kBlake2sBytes = 32;
constexpr uint32_t kBlake2sBlockBytes = 64;
using Blake2sDigest = std::array<uint8_t, kBlake2sBytes>;

class Blake2s {
 public:
  Blake2s();

  void Update(std::span<const uint8_t> bytes);
  // The digest of all that was added; nothing may be added after it.
  Blake2sDigest Finish();

 private:
  void Compress(bool is_last);

  std::array<uint32_t, 8> state_;
  std::array<uint8_t, kBlake2sBlockBytes> block_{};
  uint32_t filled_ = 0;
  uint64_t total_ = 0;
};

// HMAC under one key: what depends on the key alone is computed once.
class HmacBlake2s {
 public:
  // `key` has at most 64 bytes.
  explicit HmacBlake2s(std::span<const uint8_t> key);

  Blake2sDigest Of(std::span<const uint8_t> message) const;

 private:
  Blake2s inner_;
  Blake2s outer_;
};

}  // namespace weft
