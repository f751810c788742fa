#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "../core/data-plane.hpp"
#include "frames.hpp"
#include "loopback.hpp"
#include "open-plane.hpp"
#include "test.hpp"

namespace weft::test {

inline constexpr uint32_t kVni = 77;
inline constexpr uint32_t kVnetBytes = 10;
inline constexpr int kPatienceMs = 5000;

// A host: a data plane with one network and one port.
struct Host {
  GlobalStats stats;
  TrafficStats port_stats;
  TrafficStats vtep_stats;
  Flag flag;
  std::unique_ptr<DataPlane> plane;
  int device = -1;  // the container's end
  int queue = -1;

  explicit Host(const char* address, uint32_t vnet_bytes = kVnetBytes) {
    const DataPlaneOptions options{
        .fdb_capacity = 100, .fdb_max_age_ms = 60000, .hash_key = 12345, .joins_udp = true};
    plane = OpenPlane(address, options, stats, flag);
    plane->AddNetwork(kVni, 1400);
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
    device = pair[0];
    queue = pair[1];
    plane->AddPort(kVni, 1, std::span<const int>(&queue, 1), vnet_bytes, &port_stats);
  }

  ~Host() {
    plane.reset();
    close(device);
    close(queue);
  }

  SocketAddress address(const char* text) const {
    return Loopback(text, plane->binds()[0].vxlan_port);
  }

  void Send(const VnetHeader& vnet, const Bytes& frame) const {
    Bytes bytes(kVnetBytes);
    std::memcpy(bytes.data(), &vnet, kVnetBytes);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    CHECK(write(device, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  // The next frame that arrives, with what precedes it.
  Bytes Receive() const {
    pollfd waiting{device, POLLIN, 0};
    CHECK(poll(&waiting, 1, kPatienceMs) == 1);
    Bytes bytes(70000);
    const ssize_t size = read(device, bytes.data(), bytes.size());
    CHECK(size > 0);
    bytes.resize(static_cast<size_t>(size));
    return bytes;
  }

  // Waits for the end of the forwarder's turn: what it has done by then is counted.
  void Settle() const { plane->SnapshotFdb(kVni); }

  uint64_t drops(DropReason reason) const { return stats.drops[static_cast<size_t>(reason)]; }
};

}  // namespace weft::test
