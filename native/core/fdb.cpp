#include "fdb.hpp"

#include <algorithm>
#include <bit>
#include <cassert>

namespace weft {
Fdb::Fdb(uint32_t capacity, uint32_t max_age, uint64_t hash_key, bool is_shared)
    : capacity_(capacity),
      max_age_(max_age),
      hash_key_(hash_key | 1),
      bucket_mask_(std::bit_ceil(capacity + kMaxPinned) - 1),
      hash_shift_(static_cast<uint32_t>(std::countl_zero(uint64_t{bucket_mask_}))),
      lock_(is_shared),
      entries_(AllocateZeroed<Entry>(size_t{capacity} + kMaxPinned + 1)),
      buckets_(AllocateZeroed<uint32_t>(size_t{bucket_mask_} + 1)) {
  assert(capacity >= 1 && max_age >= 1);
}

Fdb::Learned Fdb::Learn(Mac mac, Place place, uint64_t now, Counters& counters) {
  const std::lock_guard guard(lock_);
  const uint32_t at = Find(mac);
  if (at == kNone) {
    Add(mac, place, now, counters);
    return Learned::kNew;
  }
  Entry& entry = entries_[at];
  if (entry.is_pinned) return entry.place == place ? Learned::kSame : Learned::kPinnedElsewhere;
  if (IsAged(entry, now)) {
    Remove(at);
    counters.aged++;
    Add(mac, place, now, counters);
    return Learned::kNew;
  }
  const bool is_same = entry.place == place;
  if (observer_ != nullptr && (!is_same || IsReportDue(entry.confirmed, now))) {
    if (!is_same) observer_->OnGone(mac, entry.place);
    observer_->OnPlaced(mac, place, false);
  }
  entry.confirmed = std::max(entry.confirmed, now);
  if (at != newest_) {
    Unlink(at);
    LinkNewest(at);
  }
  entry.place = place;
  return is_same ? Learned::kSame : Learned::kMoved;
}

// Whether an eighth of an entry's life has begun since it was confirmed: frames that come without a
// pause are reported as often as rare ones.
bool Fdb::IsReportDue(uint64_t confirmed, uint64_t now) const {
  const uint64_t period = max_age_ / 8 + 1;
  return now / period != confirmed / period;
}

Place Fdb::Lookup(Mac mac, uint64_t now) {
  const std::lock_guard guard(lock_);
  const uint32_t at = Find(mac);
  if (at == kNone) return kNowhere;
  const Entry& entry = entries_[at];
  return entry.is_pinned || !IsAged(entry, now) ? entry.place : kNowhere;
}

bool Fdb::Pin(Mac mac, Place place) {
  const uint32_t found = Find(mac);
  if (found != kNone) Remove(found);
  if (pinned_ == kMaxPinned) return false;
  entries_[Take(mac, place)].is_pinned = true;
  pinned_++;
  if (observer_ != nullptr) observer_->OnPlaced(mac, place, true);
  return true;
}

void Fdb::Unpin(Mac mac) {
  const uint32_t at = Find(mac);
  if (at != kNone && entries_[at].is_pinned) Remove(at);
}

Place Fdb::PinnedAt(Mac mac) {
  const std::lock_guard guard(lock_);
  const uint32_t at = Find(mac);
  return at != kNone && entries_[at].is_pinned ? entries_[at].place : kNowhere;
}

uint32_t Fdb::Flush(Place place) {
  uint32_t flushed = 0;
  for (uint32_t at = kNone + 1; at < used_; at++) {
    if (entries_[at].place != place) continue;
    Remove(at);
    flushed++;
  }
  return flushed;
}

uint32_t Fdb::Sweep(uint64_t now, uint32_t limit) {
  const std::lock_guard guard(lock_);
  return RemoveAged(now, limit);
}

uint32_t Fdb::RemoveAged(uint64_t now, uint32_t limit) {
  uint32_t removed = 0;
  while (removed < limit && oldest_ != kNone && IsAged(entries_[oldest_], now)) {
    Remove(oldest_);
    removed++;
  }
  return removed;
}

void Fdb::Add(Mac mac, Place place, uint64_t now, Counters& counters) {
  counters.aged += RemoveAged(now, kSweepPerLearn);
  if (learned_ == capacity_) {
    Remove(oldest_);
    counters.evicted++;
  }
  const uint32_t at = Take(mac, place);
  entries_[at].confirmed = now;
  LinkNewest(at);
  learned_++;
  if (observer_ != nullptr) observer_->OnPlaced(mac, place, false);
}

uint32_t Fdb::BucketOf(Mac mac) const {
  // Multiply-shift with a secret odd multiplier (Dietzfelbinger): the highest bits are the
  // mixed ones.
  return static_cast<uint32_t>((mac * hash_key_) >> hash_shift_);
}

uint32_t Fdb::Find(Mac mac) const {
  uint32_t at = buckets_[BucketOf(mac)];
  while (at != kNone && entries_[at].mac != mac) at = entries_[at].chain;
  return at;
}

uint32_t Fdb::Take(Mac mac, Place place) {
  uint32_t at = free_;
  if (at != kNone) {
    free_ = entries_[at].chain;
  } else {
    at = used_++;
  }
  uint32_t& head = buckets_[BucketOf(mac)];
  entries_[at] = Entry{mac, place, 0, head, kNone, kNone, false};
  head = at;
  size_++;
  return at;
}

void Fdb::Remove(uint32_t at) {
  if (observer_ != nullptr) observer_->OnGone(entries_[at].mac, entries_[at].place);
  if (entries_[at].is_pinned) {
    pinned_--;
  } else {
    Unlink(at);
    learned_--;
  }
  uint32_t* link = &buckets_[BucketOf(entries_[at].mac)];
  while (*link != at) link = &entries_[*link].chain;
  *link = entries_[at].chain;
  entries_[at].place = kNowhere;
  entries_[at].chain = free_;
  free_ = at;
  size_--;
}

void Fdb::LinkNewest(uint32_t at) {
  entries_[at].older = newest_;
  entries_[at].newer = kNone;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = at;
  newest_ = at;
}

void Fdb::Unlink(uint32_t at) {
  const uint32_t older = entries_[at].older;
  const uint32_t newer = entries_[at].newer;
  (older == kNone ? oldest_ : entries_[older].newer) = newer;
  (newer == kNone ? newest_ : entries_[newer].older) = older;
}

}  // namespace weft
