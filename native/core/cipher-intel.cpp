#include "cipher.hpp"

#if defined(WEFT_HAS_IPSEC_MB)

#include <intel-ipsec-mb.h>

#include <cstdio>
#include <cstring>

namespace weft {
namespace {

// The library's table of functions for this processor; the calls that we make keep no state in it.
// Null where the processor lacks AES or carry-less multiplication.
IMB_MGR* Manager() {
  static IMB_MGR* const manager = [] {
    IMB_MGR* made = alloc_mb_mgr(0);
    if (made == nullptr) return made;
    init_mb_mgr_auto(made, nullptr);
    constexpr uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    if ((made->features & kNeeded) == kNeeded && imb_get_errno(made) == 0) return made;
    free_mb_mgr(made);
    return static_cast<IMB_MGR*>(nullptr);
  }();
  return manager;
}

// In constant time: how many bytes of a forged tag are right must not show.
bool SameTag(const uint8_t* a, const uint8_t* b) {
  uint8_t difference = 0;
  for (uint32_t i = 0; i < kCipherTagBytes; i++) {
    difference = static_cast<uint8_t>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

class IntelAesGcm final : public Cipher {
 public:
  explicit IntelAesGcm(const uint8_t* key) { IMB_AES256_GCM_PRE(Manager(), key, &key_); }

  void Seal(const Nonce& nonce, std::span<const uint8_t> associated, std::span<const uint8_t> plain,
            uint8_t* sealed) override {
    IMB_AES256_GCM_ENC(Manager(), &key_, &context_, sealed, plain.data(), plain.size(), nonce.bytes,
                       associated.data(), associated.size(), sealed + plain.size(),
                       kCipherTagBytes);
  }

  bool Open(const Nonce& nonce, std::span<const uint8_t> associated, std::span<uint8_t> bytes,
            const uint8_t* tag) override {
    uint8_t computed[kCipherTagBytes];
    IMB_AES256_GCM_DEC(Manager(), &key_, &context_, bytes.data(), bytes.data(), bytes.size(),
                       nonce.bytes, associated.data(), associated.size(), computed,
                       kCipherTagBytes);
    return SameTag(computed, tag);
  }

 private:
  alignas(64) gcm_key_data key_;
  alignas(64) gcm_context_data context_;
};

class IntelChaCha final : public Cipher {
 public:
  explicit IntelChaCha(const uint8_t* key) { std::memcpy(key_, key, sizeof key_); }

  void Seal(const Nonce& nonce, std::span<const uint8_t> associated, std::span<const uint8_t> plain,
            uint8_t* sealed) override {
    Start(nonce, associated);
    IMB_CHACHA20_POLY1305_ENC_UPDATE(Manager(), key_, &context_, sealed, plain.data(),
                                     plain.size());
    IMB_CHACHA20_POLY1305_ENC_FINALIZE(Manager(), &context_, sealed + plain.size(),
                                       kCipherTagBytes);
  }

  bool Open(const Nonce& nonce, std::span<const uint8_t> associated, std::span<uint8_t> bytes,
            const uint8_t* tag) override {
    uint8_t computed[kCipherTagBytes];
    Start(nonce, associated);
    IMB_CHACHA20_POLY1305_DEC_UPDATE(Manager(), key_, &context_, bytes.data(), bytes.data(),
                                     bytes.size());
    IMB_CHACHA20_POLY1305_DEC_FINALIZE(Manager(), &context_, computed, kCipherTagBytes);
    return SameTag(computed, tag);
  }

 private:
  void Start(const Nonce& nonce, std::span<const uint8_t> associated) {
    IMB_CHACHA20_POLY1305_INIT(Manager(), key_, &context_, nonce.bytes, associated.data(),
                               associated.size());
  }

  alignas(64) uint8_t key_[kCipherKeyBytes];
  alignas(64) chacha20_poly1305_context_data context_;
};

}  // namespace

std::unique_ptr<Cipher> MakeIntelCipher(CipherKind kind,
                                        std::span<const uint8_t, kCipherKeyBytes> key) {
  if (Manager() == nullptr) return nullptr;
  if (kind == CipherKind::kAes256Gcm) return std::make_unique<IntelAesGcm>(key.data());
  return std::make_unique<IntelChaCha>(key.data());
}

const char* IntelCipherName() {
  static char name[64];
  if (Manager() == nullptr) return nullptr;
  std::snprintf(name, sizeof name, "Intel Multi-Buffer Crypto %s", imb_get_version_str());
  return name;
}

}  // namespace weft

#else

namespace weft {

std::unique_ptr<Cipher> MakeIntelCipher(CipherKind, std::span<const uint8_t, kCipherKeyBytes>) {
  return nullptr;
}

const char* IntelCipherName() { return nullptr; }

}  // namespace weft

#endif
