#include "cipher.hpp"

#include <cstring>

#include "endian.hpp"

namespace weft {

Nonce::Nonce(uint64_t counter) : bytes{} {
  StoreBe64(bytes + kCipherNonceBytes - sizeof counter, counter);
}

std::unique_ptr<Cipher> Cipher::Create(CipherKind kind,
                                       std::span<const uint8_t, kCipherKeyBytes> key) {
  auto cipher = MakeIntelCipher(kind, key);
  return cipher != nullptr ? std::move(cipher) : MakeOpenSslCipher(kind, key);
}

const char* CipherLibrary() {
  return IntelCipherName() != nullptr ? IntelCipherName() : OpenSslCipherName();
}

}  // namespace weft
