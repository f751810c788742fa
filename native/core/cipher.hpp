#pragma once

#include <cstdint>
#include <memory>
#include <span>

// Authenticated encryption with one key, by a library made for it: Intel's Multi-Buffer Crypto
// where it was there at build time and this processor has the instructions, else the OpenSSL that
// Node exports.
namespace weft {

enum class CipherKind : uint8_t { kAes256Gcm, kChaCha20Poly1305 };

constexpr uint32_t kCipherKeyBytes = 32;
constexpr uint32_t kCipherTagBytes = 16;
constexpr uint32_t kCipherNonceBytes = 12;

// The AEAD input of both ciphers: four zero bytes, then the packet's counter, big-endian.
struct Nonce {
  explicit Nonce(uint64_t counter);
  uint8_t bytes[kCipherNonceBytes];
};

// Used by one thread at a time.
class Cipher {
 public:
  static std::unique_ptr<Cipher> Create(CipherKind kind,
                                        std::span<const uint8_t, kCipherKeyBytes> key);
  virtual ~Cipher() = default;

  // Encrypts `plain` to `sealed`, which is the same place or one that does not overlap, and writes
  // kCipherTagBytes behind it. A nonce is used once per key.
  virtual void Seal(const Nonce& nonce, std::span<const uint8_t> associated,
                    std::span<const uint8_t> plain, uint8_t* sealed) = 0;

  // Decrypts in place. False if the tag is wrong: then the bytes are worthless.
  virtual bool Open(const Nonce& nonce, std::span<const uint8_t> associated,
                    std::span<uint8_t> bytes, const uint8_t* tag) = 0;
};

// Name and version, for `weft status`.
const char* CipherLibrary();

// The two implementations. MakeIntelCipher gives nothing where it was not built in or can't run.
std::unique_ptr<Cipher> MakeIntelCipher(CipherKind kind,
                                        std::span<const uint8_t, kCipherKeyBytes> key);
std::unique_ptr<Cipher> MakeOpenSslCipher(CipherKind kind,
                                          std::span<const uint8_t, kCipherKeyBytes> key);
const char* IntelCipherName();
const char* OpenSslCipherName();

}  // namespace weft
