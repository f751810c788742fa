#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "address-key.hpp"
#include "blake2s.hpp"
#include "drop-reason.hpp"
#include "token-bucket.hpp"

// What stands between the mesh port and the event loop for handshakes, so that a flood of them
// costs a hash each and wakes nobody (docs/adr/0065). src/dataplane/portable/handshake-gate.ts is
// its twin.
namespace weft::handshake {

// First bytes, as src/link/handshake-message.ts has them.
constexpr uint8_t kFirstKind = 0x10;
constexpr uint8_t kLastKind = 0x1f;
constexpr uint8_t kInitiation = 0x10;
constexpr uint8_t kResponse = 0x11;
constexpr uint32_t kMacBytes = 16;
constexpr uint32_t kHeadBytes = 8;

constexpr bool IsHandshake(uint8_t first_byte) {
  return first_byte >= kFirstKind && first_byte <= kLastKind;
}

// The keys of mac1 for this host: one for each key of the mesh. Never changed once made.
class Keys {
 public:
  explicit Keys(const std::vector<std::span<const uint8_t>>& keys) {
    for (const auto& key : keys) macs_.emplace_back(key);
  }

  // Whether an initiation or response was made for this host by somebody of the mesh:
  //   | head 8 | ... | mac1 16 | mac2 16 |   mac1 is over all before it
  bool Vouch(std::span<const uint8_t> handshake) const;

 private:
  std::vector<HmacBlake2s> macs_;
};

// Datagrams of one kind: so many from one source, and so many from all.
class Limit {
 public:
  explicit Limit(const Rate& total) : total_rate_(total) {}

  bool Admits(uint64_t source_hash, uint64_t now);

 private:
  // One source is a host, or all that are behind one NAT.
  static constexpr Rate kSourceRate{100, 200};
  static constexpr uint32_t kSources = 1024;

  const Rate total_rate_;
  std::array<TokenBucket, kSources> sources_{};
  TokenBucket total_;
};

// How many handshakes go up. Those that prove to be of the mesh share nothing with those that
// can't: who has no key of the mesh takes nothing from who has one, whatever source he forges.
class Gate {
 public:
  // `hash_key`: chance, so that nobody can choose a source that shares a bucket with another's.
  explicit Gate(uint64_t hash_key) : hash_key_(hash_key) {}

  // Why a handshake is refused. `keys`: null as long as the control plane has told none, and then
  // mac1 is not looked at.
  std::optional<DropReason> Refuse(std::span<const uint8_t> handshake, const AddressKey& source,
                                   const Keys* keys, uint64_t now);

 private:
  // A mesh of a thousand hosts that all start at once is within the burst.
  static constexpr Rate kVouchedRate{1000, 2000};
  // Cookies and confirmations, which have no mac1, and what is malformed.
  static constexpr Rate kOthersRate{500, 2000};

  const uint64_t hash_key_;
  Limit vouched_{kVouchedRate};
  Limit others_{kOthersRate};
};

}  // namespace weft::handshake
