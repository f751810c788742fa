#pragma once

#include <cstdint>
#include <memory>

#include "../core/fdb.hpp"

namespace weft {

// Keeps the kernel's copy of where MACs live in step with the forwarder's tables: each change of an
// FDB is in the map before the frame that caused it is forwarded. So a MAC that shows up at another
// place is followed with that very frame, whatever the fast path thought before.
class FdbMirror {
 public:
  // `map` holds weft_remote by weft_fdb_key and outlives the mirror.
  FdbMirror(int map, uint32_t fdb_max_age_ms) : map_(map), fdb_max_age_ms_(fdb_max_age_ms) {}

  // For the FDB of one network, which it must outlive; called by whoever works with that.
  std::unique_ptr<FdbObserver> Of(uint32_t vni) const;

 private:
  const int map_;
  const uint32_t fdb_max_age_ms_;
};

}  // namespace weft
