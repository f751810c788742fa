#pragma once

#include <cstdint>
#include <mutex>

#include "spin-lock.hpp"
#include "zeroed-array.hpp"

namespace weft {

// A 48-bit Ethernet address, first byte highest.
using Mac = uint64_t;
// No address: wider than 48 bits.
constexpr Mac kNoMac = UINT64_MAX;

constexpr bool IsGroup(Mac mac) { return (mac >> 40 & 1) != 0; }
// IEEE 802.3: a source is an individual address and not null.
constexpr bool IsValidSource(Mac mac) { return mac != 0 && !IsGroup(mac); }

// Where a MAC lives: a Port or a Vtep, told apart by the low bit of the pointer. Zero is nowhere.
using Place = uintptr_t;
constexpr Place kNowhere = 0;

// Told of what an Fdb finds and no longer finds, in the thread that changes it.
class FdbObserver {
 public:
  virtual ~FdbObserver() = default;
  // `mac` is found at `place` from now on; said again while frames confirm it, at least four times
  // in the life of a learned entry.
  virtual void OnPlaced(Mac mac, Place place, bool is_pinned) = 0;
  // `mac` is at `place` no more.
  virtual void OnGone(Mac mac, Place place) = 0;
};

// The forwarding database of one network, in two arrays allocated once.
//
//   buckets_[hash(mac)] -> entry -> entry          (chain: entries of one hash)
//   oldest_ -> entry <-> entry <- newest_          (older, newer: learned entries in the order in
//                                                   which frames confirmed them)
//
// The head of the list is both the next to age and the next to be evicted. Index 0 means none, so
// that untouched memory needs no initialisation. Every operation is O(1) in expectation but Flush
// and ForEach, which walk all entries ever in use at once. The hash is keyed: a container that
// floods chosen MACs can't aim at one bucket.
class Fdb {
 public:
  enum class Learned : uint8_t { kSame, kNew, kMoved, kPinnedElsewhere };

  struct Counters {
    uint32_t aged = 0;
    uint32_t evicted = 0;
  };

  // `capacity` counts learned entries. Ages are in milliseconds of the caller's clock.
  // Of a shared table Learn, Lookup, PinnedAt and Sweep may be called by several threads at the
  // same time; all else only while nobody else is at it. Their clocks may be a little apart.
  Fdb(uint32_t capacity, uint32_t max_age, uint64_t hash_key, bool is_shared = false);

  // Tells `observer`, which outlives this, of all that follows; null for none. Before the first
  // entry.
  void Observe(FdbObserver* observer) { observer_ = observer; }

  // A frame from `mac` came in at `place`: adds, confirms or moves its entry. What had to leave the
  // table for that is added to `counters`.
  Learned Learn(Mac mac, Place place, uint64_t now, Counters& counters);

  // Where `mac` is. An entry past its age is not found, swept or not.
  Place Lookup(Mac mac, uint64_t now);

  // Pins `mac`: it neither ages, moves nor is evicted. False if kMaxPinned are pinned already.
  bool Pin(Mac mac, Place place);
  void Unpin(Mac mac);
  // Where `mac` is pinned, or kNowhere.
  Place PinnedAt(Mac mac);

  // Forgets every entry at `place`; returns how many.
  uint32_t Flush(Place place);

  // Removes at most `limit` entries past their age; returns how many.
  uint32_t Sweep(uint64_t now, uint32_t limit);

  // Calls visit(mac, place, is_pinned, age) for all that Lookup would find.
  template <typename Visit>
  void ForEach(uint64_t now, Visit visit) const {
    for (uint32_t at = kNone + 1; at < used_; at++) {
      const Entry& entry = entries_[at];
      if (entry.place == kNowhere || (!entry.is_pinned && IsAged(entry, now))) continue;
      visit(entry.mac, entry.place, entry.is_pinned,
            entry.is_pinned ? uint64_t{0} : AgeOf(entry, now));
    }
  }

  uint32_t size() const { return size_; }

  // As MAX_PINNED in src/dataplane/fdb.ts. Memory that is not touched costs nothing.
  static constexpr uint32_t kMaxPinned = 1 << 17;

 private:
  static constexpr uint32_t kNone = 0;
  // Aged entries that one Learn may remove: two for the one it adds, so the table catches up.
  static constexpr uint32_t kSweepPerLearn = 2;

  struct Entry {
    Mac mac;
    Place place;  // kNowhere while the entry is free
    uint64_t confirmed;
    uint32_t chain;
    uint32_t older;
    uint32_t newer;
    bool is_pinned;
  };

  uint32_t RemoveAged(uint64_t now, uint32_t limit);
  static uint64_t AgeOf(const Entry& entry, uint64_t now) {
    return now > entry.confirmed ? now - entry.confirmed : 0;
  }
  bool IsAged(const Entry& entry, uint64_t now) const { return AgeOf(entry, now) >= max_age_; }
  uint32_t BucketOf(Mac mac) const;
  uint32_t Find(Mac mac) const;
  uint32_t Take(Mac mac, Place place);
  void Remove(uint32_t at);
  bool IsReportDue(uint64_t confirmed, uint64_t now) const;
  void Add(Mac mac, Place place, uint64_t now, Counters& counters);
  void LinkNewest(uint32_t at);
  void Unlink(uint32_t at);

  const uint32_t capacity_;
  const uint32_t max_age_;
  const uint64_t hash_key_;
  FdbObserver* observer_ = nullptr;
  const uint32_t bucket_mask_;
  const uint32_t hash_shift_;
  SpinLock lock_;
  ZeroedArray<Entry> entries_;
  ZeroedArray<uint32_t> buckets_;
  uint32_t oldest_ = kNone;
  uint32_t newest_ = kNone;
  uint32_t free_ = kNone;
  // Entries ever handed out; those above are untouched. Entry 0 is never used.
  uint32_t used_ = 1;
  uint32_t learned_ = 0;
  uint32_t pinned_ = 0;
  uint32_t size_ = 0;
};

}  // namespace weft
