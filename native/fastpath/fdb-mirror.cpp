#include "fdb-mirror.hpp"

#include <time.h>

#include "../core/endian.hpp"
#include "../core/tables.hpp"
#include "bpf.hpp"
#include "layout.h"
#include "mac.hpp"

namespace weft {
namespace {

uint64_t MonotonicNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

class NetworkMirror final : public FdbObserver {
 public:
  NetworkMirror(int map, uint32_t vni, uint64_t fresh_ns)
      : map_(map), vni_(vni), fresh_ns_(fresh_ns) {}

  // A full map refuses: that MAC keeps to the slow path.
  void OnPlaced(Mac mac, Place place, bool is_pinned) override {
    if (!IsRemote(place)) return;
    weft_remote value{};
    value.vtep = VtepAt(place)->id;
    value.fresh_until = is_pinned ? UINT64_MAX : MonotonicNs() + fresh_ns_;
    const weft_fdb_key key = KeyOfMac(vni_, mac);
    bpf::Update(map_, &key, &value);
  }

  void OnGone(Mac mac, Place place) override {
    if (!IsRemote(place)) return;
    const weft_fdb_key key = KeyOfMac(vni_, mac);
    bpf::Erase(map_, &key);
  }

 private:
  static bool IsRemote(Place place) {
    return IsVtepPlace(place) && VtepAt(place)->encapsulation == Encapsulation::kVxlan;
  }

  const int map_;
  const uint32_t vni_;
  const uint64_t fresh_ns_;
};

}  // namespace

std::unique_ptr<FdbObserver> FdbMirror::Of(uint32_t vni) const {
  return std::make_unique<NetworkMirror>(map_, vni, uint64_t{fdb_max_age_ms_} * 1'000'000 / 4);
}

}  // namespace weft
