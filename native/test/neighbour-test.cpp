// The tables and parts behind the answers: the forwarder's use of them is the contract suite's.
#include <map>

#include "../core/flood-limit.hpp"
#include "../core/neighbour-answer.hpp"
#include "../core/neighbours.hpp"
#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

AddressKey KeyOfNumber(uint64_t number) {
  return number % 2 == 0 ? KeyOfIpv4(static_cast<uint32_t>(number))
                         : AddressKey{0x20010db8'00000000, number};
}

TEST(neighbours_agree_with_a_map) {
  Neighbours neighbours;
  std::map<uint64_t, Mac> model;
  uint32_t state = 1;
  for (int step = 0; step < 200000; step++) {
    state = state * 1664525 + 1013904223;
    const uint64_t number = (state >> 8) % 3000;
    const Mac mac = 1 + (state >> 22) % 3;
    if ((state >> 30) < 2) {
      neighbours.Set(KeyOfNumber(number), mac);
      model[number] = mac;
    } else {
      neighbours.Remove(KeyOfNumber(number), mac);
      const auto found = model.find(number);
      if (found != model.end() && found->second == mac) model.erase(found);
    }
    const auto found = model.find(number);
    CHECK(neighbours.Find(KeyOfNumber(number)) == (found == model.end() ? kNoMac : found->second));
  }
  for (const auto& [number, mac] : model) CHECK(neighbours.Find(KeyOfNumber(number)) == mac);
}

TEST(full_neighbours_refuse_more_and_take_more_again) {
  Neighbours neighbours;
  for (uint32_t i = 0; i < Neighbours::kMost; i++) neighbours.Set(KeyOfIpv4(i), 7);
  neighbours.Set(KeyOfIpv4(Neighbours::kMost), 7);
  CHECK(neighbours.Find(KeyOfIpv4(Neighbours::kMost)) == kNoMac);
  neighbours.Set(KeyOfIpv4(5), 9);
  neighbours.Remove(KeyOfIpv4(5), 9);
  neighbours.Set(KeyOfIpv4(Neighbours::kMost), 7);
  CHECK(neighbours.Find(KeyOfIpv4(Neighbours::kMost)) == 7);
  CHECK(neighbours.Find(KeyOfIpv4(5)) == kNoMac);
}

// An IPv4 address is no IPv6 address that ends in the same bytes.
TEST(addresses_of_two_families_are_two) {
  const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 7, 0, 1};
  CHECK(KeyOfIpv6(mapped).low == KeyOfIpv4(0x0a070001).low);
  CHECK(KeyOfIpv6(mapped) != KeyOfIpv4(0x0a070001));
}

TEST(the_flood_limit_pays_back_what_a_super_frame_overdrew) {
  FloodLimit limit(100);
  CHECK(limit.Admits(99, 1000) && limit.Admits(40, 1000));
  CHECK(!limit.Admits(1, 1000));
  // 39 frames are owed, and the next costs one: 400 ms at 100 a second.
  CHECK(!limit.Admits(1, 1399));
  CHECK(limit.Admits(1, 1400));
  CHECK(!limit.Admits(1, 1400));
  // A bucket holds a second's worth, however long it waited.
  for (int i = 0; i < 100; i++) CHECK(limit.Admits(1, 1000000000));
  CHECK(!limit.Admits(1, 1000000000));
}

}  // namespace
}  // namespace weft::test
