#pragma once

#include <cstdint>

#include "address-key.hpp"
#include "fdb.hpp"
#include "zeroed-array.hpp"

namespace weft {

// Addresses of one network's endpoints on other hosts, and whose they are. Allocated once, as
// memory that costs nothing until it is touched. Every operation is O(1) in expectation: the
// addresses come from the endpoint table, a frame only looks them up.
class Neighbours {
 public:
  Neighbours();

  // Of two that claim an address, the later has it. Does nothing if kMost addresses are held.
  void Set(const AddressKey& address, Mac mac);
  // Forgets an address, unless another has it by now.
  void Remove(const AddressKey& address, Mac mac);
  // kNoMac if nobody has it.
  Mac Find(const AddressKey& address) const;

  static constexpr uint32_t kMost = 1 << 17;

 private:
  static constexpr uint32_t kNone = 0;

  struct Entry {
    AddressKey address;
    Mac mac;
    uint32_t chain;
  };

  static uint32_t BucketOf(const AddressKey& address);
  // The link that leads to the address' entry, or the end of its chain.
  uint32_t* LinkTo(const AddressKey& address) const;

  // Entry 0 is never used: index 0 means none.
  ZeroedArray<Entry> entries_;
  ZeroedArray<uint32_t> buckets_;
  uint32_t free_ = kNone;
  uint32_t used_ = 1;
};

}  // namespace weft
