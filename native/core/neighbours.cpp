#include "neighbours.hpp"

#include <bit>

namespace weft {
Neighbours::Neighbours()
    : entries_(AllocateZeroed<Entry>(size_t{kMost} + 1)),
      buckets_(AllocateZeroed<uint32_t>(kMost)) {}

void Neighbours::Set(const AddressKey& address, Mac mac) {
  uint32_t* link = LinkTo(address);
  if (*link != kNone) {
    entries_[*link].mac = mac;
    return;
  }
  uint32_t at = free_;
  if (at != kNone) {
    free_ = entries_[at].chain;
  } else if (used_ <= kMost) {
    at = used_++;
  } else {
    return;
  }
  entries_[at] = Entry{address, mac, kNone};
  *link = at;
}

void Neighbours::Remove(const AddressKey& address, Mac mac) {
  uint32_t* link = LinkTo(address);
  const uint32_t at = *link;
  if (at == kNone || entries_[at].mac != mac) return;
  *link = entries_[at].chain;
  entries_[at].chain = free_;
  free_ = at;
}

Mac Neighbours::Find(const AddressKey& address) const {
  const uint32_t at = *LinkTo(address);
  return at == kNone ? kNoMac : entries_[at].mac;
}

uint32_t Neighbours::BucketOf(const AddressKey& address) {
  const uint64_t mixed = (address.low ^ std::rotl(address.high, 23)) * 0x9e3779b97f4a7c15;
  return static_cast<uint32_t>(mixed >> (64 - std::countr_zero(kMost)));
}

uint32_t* Neighbours::LinkTo(const AddressKey& address) const {
  uint32_t* link = &buckets_[BucketOf(address)];
  while (*link != kNone && entries_[*link].address != address) link = &entries_[*link].chain;
  return link;
}

}  // namespace weft
