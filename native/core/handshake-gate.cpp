#include "handshake-gate.hpp"

#include <algorithm>

namespace weft::handshake {
namespace {

// Tells nobody where the first difference is.
bool IsSame(const uint8_t* a, const uint8_t* b) {
  uint8_t difference = 0;
  for (uint32_t i = 0; i < kMacBytes; i++) difference |= static_cast<uint8_t>(a[i] ^ b[i]);
  return difference == 0;
}

// Spreads addresses over buckets; 64-bit finalizer of MurmurHash3.
uint64_t Hash(const AddressKey& address, uint64_t key) {
  uint64_t hash = address.low ^ key;
  for (const uint64_t word : {address.high, uint64_t{0}}) {
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
    hash ^= hash >> 33 ^ word;
  }
  return hash;
}

}  // namespace

bool Keys::Vouch(std::span<const uint8_t> handshake) const {
  if (handshake.size() < kHeadBytes + 2 * kMacBytes) return false;
  const auto signed_part = handshake.first(handshake.size() - 2 * kMacBytes);
  const uint8_t* mac = handshake.data() + signed_part.size();
  return std::any_of(macs_.begin(), macs_.end(), [&](const HmacBlake2s& hmac) {
    return IsSame(hmac.Of(signed_part).data(), mac);
  });
}

bool Limit::Admits(uint64_t source_hash, uint64_t now) {
  return sources_[source_hash % kSources].Take(kSourceRate, now) && total_.Take(total_rate_, now);
}

std::optional<DropReason> Gate::Refuse(std::span<const uint8_t> handshake, const AddressKey& source,
                                       const Keys* keys, uint64_t now) {
  const bool has_mac = handshake[0] == kInitiation || handshake[0] == kResponse;
  if (has_mac && keys != nullptr && !keys->Vouch(handshake)) {
    return DropReason::mesh_handshake_foreign;
  }
  Limit& limit = has_mac ? vouched_ : others_;
  if (!limit.Admits(Hash(source, hash_key_), now)) return DropReason::mesh_handshake_shed;
  return std::nullopt;
}

}  // namespace weft::handshake
