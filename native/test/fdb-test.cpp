#include "../core/fdb.hpp"

#include <map>

#include "test.hpp"

namespace weft::test {
namespace {

constexpr Place kHere = 8;
constexpr Place kThere = 16;

TEST(fdb_learns_moves_and_ages) {
  Fdb fdb(10, 100, 99);
  Fdb::Counters left;
  CHECK(fdb.Lookup(1, 0) == kNowhere);
  CHECK(fdb.Learn(1, kHere, 0, left) == Fdb::Learned::kNew);
  CHECK(fdb.Learn(1, kHere, 50, left) == Fdb::Learned::kSame);
  CHECK(fdb.Learn(1, kThere, 60, left) == Fdb::Learned::kMoved);
  CHECK(fdb.Lookup(1, 159) == kThere);
  CHECK(fdb.Lookup(1, 160) == kNowhere);
  CHECK(fdb.Learn(1, kThere, 160, left) == Fdb::Learned::kNew);
  CHECK(left.aged == 1 && fdb.size() == 1);
}

// Threads read the clock one after the other, and what one has confirmed another sees a little
// earlier.
TEST(fdb_takes_a_clock_that_lags) {
  Fdb fdb(10, 100, 99);
  Fdb::Counters left;
  fdb.Learn(1, kHere, 100, left);
  CHECK(fdb.Lookup(1, 99) == kHere);
  CHECK(fdb.Learn(1, kHere, 98, left) == Fdb::Learned::kSame);
  CHECK(fdb.Sweep(97, 10) == 0 && left.aged == 0);
  CHECK(fdb.Lookup(1, 199) == kHere && fdb.Lookup(1, 200) == kNowhere);
}

TEST(fdb_evicts_the_entry_confirmed_longest_ago) {
  Fdb fdb(3, 1000, 99);
  Fdb::Counters left;
  for (Mac mac = 1; mac <= 3; mac++) fdb.Learn(mac, kHere, mac, left);
  fdb.Learn(1, kHere, 4, left);
  fdb.Learn(4, kHere, 5, left);
  CHECK(left.evicted == 1);
  CHECK(fdb.Lookup(2, 5) == kNowhere && fdb.Lookup(1, 5) == kHere && fdb.size() == 3);
}

TEST(fdb_pins_hold) {
  Fdb fdb(2, 10, 99);
  Fdb::Counters left;
  CHECK(fdb.Pin(7, kHere));
  CHECK(fdb.Learn(7, kThere, 0, left) == Fdb::Learned::kPinnedElsewhere);
  CHECK(fdb.Learn(7, kHere, 0, left) == Fdb::Learned::kSame);
  for (Mac mac = 10; mac < 20; mac++) fdb.Learn(mac, kThere, 0, left);
  CHECK(fdb.Lookup(7, 1000000) == kHere && fdb.PinnedAt(7) == kHere);
  fdb.Unpin(8);
  fdb.Unpin(7);
  CHECK(fdb.Lookup(7, 0) == kNowhere && fdb.PinnedAt(7) == kNowhere);
}

TEST(fdb_flush_forgets_one_place_only) {
  Fdb fdb(100, 1000, 99);
  Fdb::Counters left;
  for (Mac mac = 1; mac <= 50; mac++) fdb.Learn(mac, mac % 2 == 0 ? kHere : kThere, 0, left);
  fdb.Pin(60, kHere);
  CHECK(fdb.Flush(kHere) == 26);
  CHECK(fdb.size() == 25 && fdb.Lookup(1, 0) == kThere && fdb.Lookup(2, 0) == kNowhere);
}

// What an observer would believe, and how often it was told.
class Believer final : public FdbObserver {
 public:
  void OnPlaced(Mac mac, Place place, bool is_pinned) override {
    believed[mac] = {place, is_pinned};
    told++;
  }
  void OnGone(Mac mac, Place place) override {
    CHECK(believed.at(mac).first == place);
    believed.erase(mac);
  }

  std::map<Mac, std::pair<Place, bool>> believed;
  int told = 0;
};

TEST(fdb_tells_its_observer_all_that_it_finds) {
  Believer believer;
  Fdb fdb(3, 800, 99);
  fdb.Observe(&believer);
  Fdb::Counters left;
  fdb.Learn(1, kHere, 0, left);
  fdb.Learn(1, kThere, 1, left);
  CHECK(believer.believed.at(1) == std::pair(kThere, false));
  for (Mac mac = 2; mac <= 4; mac++) fdb.Learn(mac, kHere, 2, left);
  CHECK(believer.believed.size() == 3 && !believer.believed.contains(1));
  fdb.Pin(2, kThere);
  CHECK(believer.believed.at(2) == std::pair(kThere, true));
  fdb.Flush(kThere);
  CHECK(!believer.believed.contains(2));
  fdb.Pin(9, kThere);
  fdb.Unpin(9);
  fdb.Sweep(10000, 10);
  CHECK(believer.believed.empty() && fdb.size() == 0);
}

TEST(fdb_repeats_itself_while_frames_confirm) {
  Believer believer;
  Fdb fdb(3, 800, 99);
  fdb.Observe(&believer);
  Fdb::Counters left;
  for (uint64_t now = 0; now < 800; now++) fdb.Learn(1, kHere, now, left);
  CHECK(believer.told >= 8 && believer.told <= 9);
}

// A map with the same rules, driven by the same random operations.
TEST(fdb_agrees_with_a_map) {
  Fdb fdb(1000, 50, 0x1234567890abcdef);
  struct Row {
    Place place;
    uint64_t confirmed;
  };
  std::map<Mac, Row> model;
  Fdb::Counters left;
  uint32_t state = 1;
  for (uint64_t now = 0; now < 20000; now++) {
    state = state * 1664525 + 1013904223;
    const Mac mac = 1 + (state >> 16) % 200;
    const Place place = (state >> 8) % 2 == 0 ? kHere : kThere;
    if ((state >> 28) < 12) {
      fdb.Learn(mac, place, now, left);
      model[mac] = {place, now};
    } else if ((state >> 28) == 13) {
      fdb.Sweep(now, 10);
    } else if (now % 500 == 0) {
      fdb.Flush(place);
      std::erase_if(model, [&](const auto& row) { return row.second.place == place; });
    }
    const auto found = model.find(mac);
    const bool lives = found != model.end() && now - found->second.confirmed < 50;
    CHECK(fdb.Lookup(mac, now) == (lives ? found->second.place : kNowhere));
  }
  CHECK(left.aged > 0 && left.evicted == 0);
}

}  // namespace
}  // namespace weft::test
