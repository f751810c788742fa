#include <memory>
#include <string_view>

#include "../core/handshake-gate.hpp"
#include "../core/relay.hpp"
#include "frames.hpp"
#include "host.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint64_t kNow = 10'000'000;
constexpr AddressKey kSource = KeyOfIpv4(0xc0000201);

Bytes Counting(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(i);
  return bytes;
}

bool IsHex(const Blake2sDigest& digest, std::string_view hex) {
  std::string text;
  for (const uint8_t byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text == hex;
}

Blake2sDigest HashOf(const Bytes& bytes) {
  Blake2s hash;
  hash.Update(bytes);
  return hash.Finish();
}

// A handshake of 149 bytes with a mac1 of this key.
Bytes Handshake(uint8_t kind, const Bytes& key) {
  Bytes bytes = Counting(149);
  bytes[0] = kind;
  const Blake2sDigest mac = HmacBlake2s(key).Of(std::span(bytes).first(117));
  std::copy_n(mac.begin(), handshake::kMacBytes, bytes.begin() + 117);
  return bytes;
}

const Bytes kKey = Counting(32);
handshake::Keys KeysOf(const Bytes& key) { return handshake::Keys({std::span(key)}); }

// How many of `count` at once are let through.
uint32_t Admitted(handshake::Gate& gate, const Bytes& datagram, uint32_t count,
                  const AddressKey& source = kSource, uint64_t now = kNow) {
  const handshake::Keys keys = KeysOf(kKey);
  uint32_t admitted = 0;
  for (uint32_t i = 0; i < count; i++) {
    const auto refusal = gate.Refuse(datagram, source, &keys, now);
    CHECK(!refusal.has_value() || *refusal == DropReason::mesh_handshake_shed);
    if (!refusal.has_value()) admitted++;
  }
  return admitted;
}

// The first is RFC 7693's (appendix B), the others OpenSSL's.
TEST(blake2s_and_hmac_are_those_of_others) {
  CHECK(IsHex(HashOf({'a', 'b', 'c'}),
              "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"));
  CHECK(IsHex(HashOf({}), "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9"));
  CHECK(IsHex(HashOf(Counting(64)),
              "56f34e8b96557e90c1f24b52d0c89d51086acf1b00f634cf1dde9233b8eaaa3e"));
  CHECK(IsHex(HashOf(Counting(255)),
              "f03f5789d3336b80d002d59fdf918bdb775b00956ed5528e86aa994acb38fe2d"));
  CHECK(IsHex(HmacBlake2s(kKey).Of(Counting(117)),
              "00ffade65aa27a2f3ad542253bc691896aa65d16dd9f9107ffac0830ad89cc43"));
}

TEST(blake2s_in_pieces_is_that_of_the_whole) {
  const Bytes bytes = Counting(200);
  for (size_t cut = 0; cut <= bytes.size(); cut++) {
    Blake2s hash;
    hash.Update(std::span(bytes).first(cut));
    hash.Update(std::span(bytes).subspan(cut));
    CHECK(hash.Finish() == HashOf(bytes));
  }
}

TEST(handshakes_with_another_mac1_are_refused) {
  handshake::Gate gate(1);
  const handshake::Keys keys = KeysOf(kKey);
  for (const uint8_t kind : {handshake::kInitiation, handshake::kResponse}) {
    const Bytes right = Handshake(kind, kKey);
    CHECK(!gate.Refuse(right, kSource, &keys, kNow).has_value());
    // mac2, its last 16 bytes, is not looked at here.
    for (size_t at = 1; at < right.size() - handshake::kMacBytes; at++) {
      Bytes wrong = right;
      wrong[at] ^= 1;
      CHECK(gate.Refuse(wrong, kSource, &keys, kNow) == DropReason::mesh_handshake_foreign);
    }
    for (size_t size = 1; size < right.size(); size++) {
      CHECK(gate.Refuse(std::span(right).first(size), kSource, &keys, kNow).has_value());
    }
  }
  CHECK(!gate.Refuse(Handshake(handshake::kInitiation, Counting(31)), kSource, nullptr, kNow)
             .has_value());
}

TEST(handshakes_of_one_source_leave_room_for_others) {
  handshake::Gate gate(1);
  const Bytes initiation = Handshake(handshake::kInitiation, kKey);
  CHECK(Admitted(gate, initiation, 10'000) == 200);
  CHECK(Admitted(gate, initiation, 100, KeyOfIpv4(0xc0000202)) == 100);
  CHECK(Admitted(gate, initiation, 10'000, kSource, kNow + 1000) == 100);
}

TEST(handshakes_of_all_sources_are_bounded_and_what_proves_nothing_takes_none_from_the_rest) {
  handshake::Gate gate(1);
  const Bytes confirmation = Handshake(0x13, kKey);
  const Bytes initiation = Handshake(handshake::kInitiation, kKey);
  uint32_t unproven = 0;
  for (uint32_t source = 0; source < 1000; source++) {
    unproven += Admitted(gate, confirmation, 10, KeyOfIpv4(source));
  }
  CHECK(unproven == 2000);
  uint32_t vouched = 0;
  for (uint32_t source = 0; source < 1000; source++) {
    vouched += Admitted(gate, initiation, 10, KeyOfIpv4(source));
  }
  CHECK(vouched == 2000);
}

TEST(handshakes_are_found_behind_a_relay_and_nothing_else_is_taken_for_one) {
  Bytes relayed(relay::kControlHeaderBytes, 0);
  relayed[0] = relay::kControlKind;
  CHECK(relay::WithoutHeader(relayed).size() == relay::kControlHeaderBytes);
  relayed.push_back(handshake::kInitiation);
  relayed.push_back(1);
  const auto inside = relay::WithoutHeader(relayed);
  CHECK(inside.size() == 2 && handshake::IsHandshake(inside[0]));
  relayed[relay::kControlHeaderBytes] = 0x40;
  CHECK(!handshake::IsHandshake(relay::WithoutHeader(relayed)[0]));
  const Bytes gossip(20, 0x01);
  CHECK(relay::WithoutHeader(gossip).size() == gossip.size());
  CHECK(!handshake::IsHandshake(0x0f) && handshake::IsHandshake(0x1f));
}

TEST(forged_handshakes_wake_nobody) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  const SocketAddress to = Loopback("127.0.0.2", b.plane->binds()[0].mesh_port);
  b.plane->SetHandshakeKeys({std::span(kKey)});
  const Bytes right = Handshake(handshake::kInitiation, kKey);
  Bytes wrong = right;
  wrong[9] ^= 1;
  a.plane->SendControl(wrong, to);
  a.plane->SendControl(right, to);
  b.flag.wakes.wait(0);
  uint32_t count = 0;
  b.plane->DrainControl([&](std::span<const uint8_t> bytes, const SocketAddress&) {
    CHECK(std::equal(bytes.begin(), bytes.end(), right.begin(), right.end()));
    count++;
  });
  CHECK(count == 1 && b.drops(DropReason::mesh_handshake_foreign) == 1);
}

}  // namespace
}  // namespace weft::test
