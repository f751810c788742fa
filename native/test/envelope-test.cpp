#include <string_view>

#include "../core/envelope-gate.hpp"
#include "frames.hpp"
#include "host.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint64_t kNow = 10'000'000;
constexpr uint32_t kUnproven = 200;
constexpr uint8_t kHint = 0xab;

Bytes Secret(uint8_t first) {
  Bytes bytes(32);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

Bytes FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Bytes bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return bytes;
}

const Bytes kSecret = Secret(0);
const Bytes kOtherSecret = Secret(1);

// "a control datagram" under kSecret, by src/link/noise/suite.ts.
const Bytes kSealed = FromHex(
    "40ab010203040506070800010203e6a20b9f4735f3b12c2e65204a5c1cd654bcbe990a5a86d76a5a3995a6b6df"
    "92aef7");

envelope::Keys KeysOf(std::initializer_list<const Bytes*> secrets) {
  std::vector<envelope::MeshKey> keys;
  for (const Bytes* secret : secrets) keys.push_back({kHint, std::span(*secret)});
  return envelope::Keys(keys);
}

TEST(what_is_sealed_under_a_key_of_the_mesh_is_known_by_each_of_its_bits) {
  envelope::Opener opener;
  const envelope::Keys keys = KeysOf({&kOtherSecret, &kSecret});
  CHECK(opener.IsAuthentic(kSealed, keys));
  for (size_t bit = 0; bit < 8 * kSealed.size(); bit++) {
    Bytes wrong = kSealed;
    wrong[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK(!opener.IsAuthentic(wrong, keys));
  }
  for (size_t size = 1; size < kSealed.size(); size++) {
    CHECK(!opener.IsAuthentic(std::span(kSealed).first(size), keys));
  }
  CHECK(!opener.IsAuthentic(kSealed, KeysOf({&kOtherSecret})));
  CHECK(!opener.IsAuthentic(kSealed, KeysOf({})));
  CHECK(opener.IsAuthentic(kSealed, keys));
}

TEST(an_envelope_of_any_length_is_opened_or_refused) {
  envelope::Opener opener;
  const envelope::Keys keys = KeysOf({&kSecret});
  for (const size_t size : {30u, 31u, 541u, 542u, 543u, 1500u, 65'535u}) {
    Bytes datagram(size, 0x55);
    datagram[0] = 0x41;
    datagram[1] = kHint;
    CHECK(!opener.IsAuthentic(datagram, keys));
  }
}

TEST(what_proves_nothing_goes_up_so_many_a_second_and_takes_nothing_from_what_does) {
  envelope::Gate gate;
  const envelope::Keys keys = KeysOf({&kSecret});
  const Bytes bare(40, 0x01);
  uint32_t admitted = 0;
  for (uint32_t i = 0; i < 10'000; i++) admitted += gate.Admits(bare, &keys, kNow);
  CHECK(admitted == kUnproven);
  CHECK(!gate.Admits(Bytes(40, 0x40), &keys, kNow));
  CHECK(gate.Admits(kSealed, &keys, kNow));
  CHECK(gate.Admits(bare, nullptr, kNow));
  CHECK(gate.Admits(bare, &keys, kNow + 1000));
}

TEST(forged_envelopes_wake_nobody) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  const SocketAddress to = Loopback("127.0.0.2", b.plane->binds()[0].mesh_port);
  b.plane->SetEnvelopeKeys({{kHint, std::span(kSecret)}});
  Bytes wrong = kSealed;
  wrong.back() ^= 1;
  for (uint32_t i = 0; i < kUnproven; i++) a.plane->SendControl(wrong, to);
  a.plane->SendControl(wrong, to);
  a.plane->SendControl(kSealed, to);
  uint32_t forged = 0;
  bool is_opened = false;
  while (!is_opened) {
    b.flag.wakes.wait(0);
    b.plane->DrainControl([&](std::span<const uint8_t> bytes, const SocketAddress&) {
      is_opened = std::equal(bytes.begin(), bytes.end(), kSealed.begin(), kSealed.end());
      forged += !is_opened;
    });
  }
  CHECK(forged + b.drops(DropReason::mesh_envelope_shed) == kUnproven + 1);
  CHECK(b.drops(DropReason::mesh_envelope_shed) <= 1);
}

}  // namespace
}  // namespace weft::test
