#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "blake2s.hpp"
#include "token-bucket.hpp"

// What stands between the mesh port and the event loop for all control but handshakes, in a mesh
// whose control is sealed (docs/adr/0063): a flood of what nobody of the mesh has sealed costs a
// look at each and wakes nobody. What is sealed is as src/link/envelope.ts has it:
//
//   | kind 8 | hint 8 | sender's tag 64 | counter 32 | sealed … | tag of ChaCha20-Poly1305 128 |
namespace weft::envelope {

constexpr uint8_t kDatagram = 0x40;
constexpr uint8_t kGreeting = 0x41;
constexpr uint32_t kHintAt = 1;
constexpr uint32_t kSenderAt = 2;
constexpr uint32_t kSenderBytes = 8;
constexpr uint32_t kCounterAt = 10;
constexpr uint32_t kHeadBytes = 14;
constexpr uint32_t kTagBytes = 16;
constexpr uint32_t kMinBytes = kHeadBytes + kTagBytes;

constexpr bool IsEnvelope(uint8_t kind) { return kind == kDatagram || kind == kGreeting; }

// A key of the mesh: 32 bytes, and what is told of it in the open.
struct MeshKey {
  uint8_t hint;
  std::span<const uint8_t> secret;
};

// The keys of the mesh. Never changed once made.
class Keys {
 public:
  explicit Keys(const std::vector<MeshKey>& keys);

 private:
  friend class Opener;
  struct Key {
    uint8_t hint;
    HmacBlake2s subkey;
  };
  std::vector<Key> keys_;
};

// Tells what was sealed under a key of the mesh. Used by one thread.
class Opener {
 public:
  Opener();
  ~Opener();

  bool IsAuthentic(std::span<const uint8_t> datagram, const Keys& keys);

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

class Gate {
 public:
  // Whether control that is no handshake goes up. `keys`: null as long as the control plane has
  // told none, and then all does. `now` in ms.
  bool Admits(std::span<const uint8_t> datagram, const Keys* keys, uint64_t now) {
    if (keys == nullptr || opener_.IsAuthentic(datagram, *keys)) return true;
    return unproven_.Take(kUnprovenRate, now);
  }

 private:
  // For who counts it, and to hear of a key that is not here yet.
  static constexpr Rate kUnprovenRate{100, 200};

  Opener opener_;
  TokenBucket unproven_;
};

}  // namespace weft::envelope
