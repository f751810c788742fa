#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "../core/sockets.hpp"
#include "fdb-mirror.hpp"
#include "layout.h"

namespace weft {

// The fast path's programs and maps in the kernel (fast-path.bpf.c, docs/adr/0022). Everything ends
// with this object, or with the process: nothing is pinned, and a program that is no longer
// attached forwards nothing. Results are 0 or a negative errno. What attaches and detaches waits
// for the kernel's lock on links, for as long as others change them: those four may be called on
// any thread, one at a time. All other calls are from one thread, and wait for nothing.
class FastPath {
 public:
  // What stopped the loading.
  struct Failure {
    const char* step = nullptr;
    int error = 0;
    std::string log;
  };

  // `object` is the path of the compiled programs. Loads and verifies, attaches nothing. Learned
  // MACs are trusted for a quarter of `fdb_max_age_ms` before user space must see them again.
  static std::unique_ptr<FastPath> Load(const char* object, uint16_t vxlan_port,
                                        uint32_t fdb_max_age_ms, Failure& failure);

  // An endpoint's end on this host: once it is attached, encapsulates what comes from it; gives it
  // what is for `mac`. Called again it takes the new values. `tap` is where user space reads the
  // network's frames, or 0: what it does better than the kernel then comes to it over the bridge.
  int SetEndpoint(uint32_t vni, Mac mac, uint32_t ifindex, uint32_t mtu, uint32_t tap);
  // Its frames take the slow path from now on, whether or not it is detached.
  void RemoveEndpoint(uint32_t vni, Mac mac, uint32_t ifindex);
  int AttachEndpoint(uint32_t ifindex);
  void DetachEndpoint(uint32_t ifindex);

  // Decapsulates what comes in at an underlay interface.
  int AttachUnderlay(uint32_t ifindex);
  void DetachUnderlay(uint32_t ifindex);

  // Frames to and from a VTEP may take the fast path from now on, or no more. Addresses are IPv4.
  int SetVtep(uint32_t id, const weft_vtep& vtep);
  void RemoveVtep(uint32_t id);

  // Summed over the processors; zero for a VTEP that is not set.
  weft_traffic TrafficOf(uint32_t id) const;

  FdbMirror& mirror() { return *mirror_; }

 private:
  enum MapIndex : size_t {
    kRemotes,
    kLocals,
    kPorts,
    kVteps,
    kTraffic,
    kSlowSent,
    kSlowReceived,
    kBursts,
    kConfig,
    kMaps
  };

  int map(MapIndex index) const { return maps_[index].get(); }
  int LoadProgram(const std::vector<char>& object, const char* name, OwnedFd& program,
                  std::string& log) const;

  std::array<OwnedFd, kMaps> maps_;
  OwnedFd encap_;
  OwnedFd decap_;
  // Attachments by ifindex.
  std::unordered_map<uint32_t, OwnedFd> ports_;
  std::unordered_map<uint32_t, OwnedFd> underlays_;
  std::unique_ptr<FdbMirror> mirror_;
  uint32_t cpus_ = 0;
};

}  // namespace weft
