#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cassert>

#include "cipher.hpp"

namespace weft {
namespace {

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

const EVP_CIPHER* CipherOf(CipherKind kind) {
  return kind == CipherKind::kAes256Gcm ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
}

class OpenSslCipher final : public Cipher {
 public:
  OpenSslCipher(CipherKind kind, const uint8_t* key)
      : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
    assert(seal_ != nullptr && open_ != nullptr);
    // The nonce's length is 12 bytes by default in both ciphers.
    EVP_EncryptInit_ex(seal_.get(), CipherOf(kind), nullptr, key, nullptr);
    EVP_DecryptInit_ex(open_.get(), CipherOf(kind), nullptr, key, nullptr);
  }

  void Seal(const Nonce& nonce, std::span<const uint8_t> associated, std::span<const uint8_t> plain,
            uint8_t* sealed) override {
    int written = 0;
    uint8_t* tag = sealed + plain.size();
    EVP_EncryptInit_ex(seal_.get(), nullptr, nullptr, nullptr, nonce.bytes);
    EVP_EncryptUpdate(seal_.get(), nullptr, &written, associated.data(), Size(associated));
    EVP_EncryptUpdate(seal_.get(), sealed, &written, plain.data(), Size(plain));
    EVP_EncryptFinal_ex(seal_.get(), tag, &written);
    EVP_CIPHER_CTX_ctrl(seal_.get(), EVP_CTRL_AEAD_GET_TAG, kCipherTagBytes, tag);
  }

  bool Open(const Nonce& nonce, std::span<const uint8_t> associated, std::span<uint8_t> bytes,
            const uint8_t* tag) override {
    int written = 0;
    uint8_t rest[kCipherTagBytes];
    EVP_DecryptInit_ex(open_.get(), nullptr, nullptr, nullptr, nonce.bytes);
    EVP_DecryptUpdate(open_.get(), nullptr, &written, associated.data(), Size(associated));
    EVP_DecryptUpdate(open_.get(), bytes.data(), &written, bytes.data(), Size(bytes));
    EVP_CIPHER_CTX_ctrl(open_.get(), EVP_CTRL_AEAD_SET_TAG, kCipherTagBytes,
                        const_cast<uint8_t*>(tag));
    return EVP_DecryptFinal_ex(open_.get(), rest, &written) > 0;
  }

 private:
  static int Size(std::span<const uint8_t> bytes) { return static_cast<int>(bytes.size()); }

  Context seal_;
  Context open_;
};

}  // namespace

std::unique_ptr<Cipher> MakeOpenSslCipher(CipherKind kind,
                                          std::span<const uint8_t, kCipherKeyBytes> key) {
  return std::make_unique<OpenSslCipher>(kind, key.data());
}

const char* OpenSslCipherName() { return OpenSSL_version(OPENSSL_VERSION); }

}  // namespace weft
