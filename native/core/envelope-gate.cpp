#include "envelope-gate.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>

namespace weft::envelope {
namespace {

constexpr std::string_view kPurpose = "weft envelope 1";
constexpr uint32_t kNonceBytes = 12;

int Size(std::span<const uint8_t> bytes) { return static_cast<int>(bytes.size()); }

}  // namespace

Keys::Keys(const std::vector<MeshKey>& keys) {
  for (const auto& [hint, secret] : keys) keys_.push_back({hint, HmacBlake2s(secret)});
}

struct Opener::Context {
  EVP_CIPHER_CTX* const cipher = EVP_CIPHER_CTX_new();
  ~Context() { EVP_CIPHER_CTX_free(cipher); }

  bool Opens(const uint8_t* key, std::span<const uint8_t> datagram) const;
};

Opener::Opener() : context_(std::make_unique<Context>()) {
  assert(context_->cipher != nullptr);
  EVP_DecryptInit_ex(context_->cipher, EVP_chacha20_poly1305(), nullptr, nullptr, nullptr);
}

Opener::~Opener() = default;

bool Opener::Context::Opens(const uint8_t* key, std::span<const uint8_t> datagram) const {
  // Noise §12.3: the counter little-endian, behind four zero bytes.
  std::array<uint8_t, kNonceBytes> nonce{};
  std::reverse_copy(&datagram[kCounterAt], &datagram[kCounterAt] + sizeof(uint32_t), &nonce[4]);
  EVP_DecryptInit_ex(cipher, nullptr, nullptr, key, nonce.data());
  int written = 0;
  EVP_DecryptUpdate(cipher, nullptr, &written, datagram.data(), kHeadBytes);
  // Nobody wants what is in it, so it goes through a piece at a time.
  std::array<uint8_t, 512> plain;
  auto sealed = datagram.subspan(kHeadBytes, datagram.size() - kMinBytes);
  while (!sealed.empty()) {
    const auto piece = sealed.first(std::min(sealed.size(), plain.size()));
    EVP_DecryptUpdate(cipher, plain.data(), &written, piece.data(), Size(piece));
    sealed = sealed.subspan(piece.size());
  }
  const uint8_t* tag = &datagram[datagram.size() - kTagBytes];
  EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, kTagBytes, const_cast<uint8_t*>(tag));
  return EVP_DecryptFinal_ex(cipher, plain.data(), &written) > 0;
}

bool Opener::IsAuthentic(std::span<const uint8_t> datagram, const Keys& keys) {
  if (datagram.size() < kMinBytes || !IsEnvelope(datagram[0])) return false;
  std::array<uint8_t, kPurpose.size() + kSenderBytes> name;
  std::copy(kPurpose.begin(), kPurpose.end(), name.begin());
  std::copy_n(&datagram[kSenderAt], kSenderBytes, name.begin() + kPurpose.size());
  return std::any_of(keys.keys_.begin(), keys.keys_.end(), [&](const Keys::Key& key) {
    return key.hint == datagram[kHintAt] && context_->Opens(key.subkey.Of(name).data(), datagram);
  });
}

}  // namespace weft::envelope
