#include "../core/sealed.hpp"

#include <set>

#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint32_t kVni = 0x123456;

std::array<uint8_t, kCipherKeyBytes> Key(uint8_t fill) {
  std::array<uint8_t, kCipherKeyBytes> key;
  key.fill(fill);
  return key;
}

struct Pair {
  SendKey send;
  ReceiveSession receive;

  explicit Pair(CipherKind kind, uint8_t receive_fill = 1) {
    send.ciphers[0] = Cipher::Create(kind, Key(1));
    send.index = receive.index = 7;
    receive.cipher = Cipher::Create(kind, Key(receive_fill));
  }

  Bytes Seal(const Bytes& frame) {
    Bytes datagram(frame.size() + sealed::kOverheadBytes);
    send.Seal(0, frame, datagram.data(), kVni, true);
    return datagram;
  }
};

using Opened = ReceiveSession::Opened;
constexpr CipherKind kKinds[] = {CipherKind::kAes256Gcm, CipherKind::kChaCha20Poly1305};

TEST(what_was_sealed_opens_and_its_header_is_as_documented) {
  for (const CipherKind kind : kKinds) {
    Pair pair(kind);
    for (uint32_t size = 0; size < 200; size += 7) {
      const Bytes frame(size, 0xab);
      Bytes datagram = pair.Seal(frame);
      CHECK(datagram[0] == 0x21 && LoadBe24(&datagram[1]) == kVni && LoadBe32(&datagram[4]) == 7);
      CHECK(LoadBe64(&datagram[8]) == size / 7);
      CHECK(pair.receive.Open(datagram) == Opened::kOk);
      CHECK(std::equal(frame.begin(), frame.end(), datagram.begin() + sealed::kHeaderBytes));
    }
  }
}

TEST(both_libraries_write_the_same_bytes) {
  for (const CipherKind kind : kKinds) {
    const auto intel = MakeIntelCipher(kind, Key(9));
    if (intel == nullptr) continue;
    const auto openssl = MakeOpenSslCipher(kind, Key(9));
    const Bytes header(sealed::kHeaderBytes, 3);
    for (size_t size = 0; size < 1500; size += 13) {
      const Bytes plain(size, 5);
      Bytes a(size + kCipherTagBytes);
      Bytes b(size + kCipherTagBytes);
      intel->Seal(Nonce(size), header, plain, a.data());
      openssl->Seal(Nonce(size), header, plain, b.data());
      CHECK(a == b);
      for (const auto& each : {intel.get(), openssl.get()}) {
        Bytes in_place(size + kCipherTagBytes, 5);
        each->Seal(Nonce(size), header, std::span(in_place.data(), size), in_place.data());
        CHECK(in_place == a);
      }
      CHECK(openssl->Open(Nonce(size), header, std::span(a.data(), size), &b[size]));
      CHECK(std::equal(plain.begin(), plain.end(), a.begin()));
    }
  }
}

TEST(a_flipped_bit_anywhere_is_a_forgery) {
  for (const CipherKind kind : kKinds) {
    Pair pair(kind);
    const Bytes datagram = pair.Seal(Bytes(40, 1));
    for (size_t bit = 0; bit < datagram.size() * 8; bit++) {
      Bytes flipped = datagram;
      flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      if (bit / 8 >= sealed::kIndexAt && bit / 8 < sealed::kCounterAt) continue;  // another session
      const Opened opened = pair.receive.Open(flipped);
      CHECK(opened == Opened::kForged || opened == Opened::kReplayed);
    }
    Bytes good = datagram;
    CHECK(pair.receive.Open(good) == Opened::kOk);
  }
}

TEST(another_key_opens_nothing) {
  Pair pair(CipherKind::kAes256Gcm, 2);
  Bytes datagram = pair.Seal(Bytes(40, 1));
  CHECK(pair.receive.Open(datagram) == Opened::kForged);
}

TEST(a_datagram_opens_once) {
  Pair pair(CipherKind::kAes256Gcm);
  const Bytes datagram = pair.Seal(Bytes(40, 1));
  Bytes first = datagram;
  Bytes second = datagram;
  CHECK(pair.receive.Open(first) == Opened::kOk);
  CHECK(pair.receive.Open(second) == Opened::kReplayed);
}

TEST(a_forgery_does_not_move_the_window) {
  Pair pair(CipherKind::kAes256Gcm);
  Bytes datagram = pair.Seal(Bytes(40, 1));
  Bytes forged = datagram;
  StoreBe64(&forged[sealed::kCounterAt], ReplayWindow::kMaxCounter);
  CHECK(pair.receive.Open(forged) == Opened::kForged);
  CHECK(pair.receive.Open(datagram) == Opened::kOk);
}

TEST(a_key_ends_before_its_counter_wraps) {
  Pair pair(CipherKind::kAes256Gcm);
  pair.send.next_counter = ReplayWindow::kMaxCounter;
  CHECK(!pair.send.is_exhausted());
  Bytes last = pair.Seal(Bytes(40, 1));
  CHECK(pair.send.is_exhausted());
  CHECK(pair.receive.Open(last) == Opened::kOk);
  ReplayWindow window;
  CHECK(window.IsFresh(ReplayWindow::kMaxCounter));
  CHECK(!window.IsFresh(ReplayWindow::kMaxCounter + 1) && !window.IsFresh(UINT64_MAX));
}

// A set of everything seen, and the rule in words.
TEST(the_replay_window_agrees_with_a_set) {
  ReplayWindow window;
  std::set<uint64_t> seen;
  uint64_t highest = 0;
  uint32_t state = 3;
  for (int i = 0; i < 200000; i++) {
    state = state * 1664525 + 1013904223;
    const uint64_t around = highest + (state >> 16) % 700;
    const uint64_t back = (state >> 8) % 8 == 0 ? (state >> 12) % 20000 : (state >> 12) % 300;
    const uint64_t jump = state % 5000 == 0 ? 100000 : 0;
    const uint64_t counter = (around > back ? around - back : 0) + jump;
    const bool is_in = counter > highest || highest - counter < ReplayWindow::kWidth;
    const bool is_fresh = is_in && !seen.contains(counter);
    CHECK(window.IsFresh(counter) == is_fresh);
    if (!is_fresh) continue;
    window.Accept(counter);
    seen.insert(counter);
    highest = std::max(highest, counter);
  }
}

}  // namespace
}  // namespace weft::test
