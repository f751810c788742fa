// A whole data plane on the loopback interface: any bytes as a datagram on the VXLAN port, the mesh
// port and as a frame from a device. It must count or forward each, and end.
#include <arpa/inet.h>
#include <unistd.h>

#include <cstdlib>

#include "../core/data-plane.hpp"

namespace {

constexpr uint32_t kVni = 0x010203;

class Quiet final : public weft::ControlWaker {
 public:
  void Wake() override {}
};

weft::SocketAddress Loopback(uint16_t port) {
  weft::SocketAddress address;
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.size = sizeof *in;
  return address;
}

struct World {
  weft::GlobalStats stats;
  weft::TrafficStats port_stats;
  weft::TrafficStats vtep_stats;
  Quiet quiet;
  std::unique_ptr<weft::DataPlane> plane;
  int device[2];
  int peer = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

  World() {
    const weft::SocketAddress bound = Loopback(0);
    weft::DataPlaneOptions options;
    options.addresses = std::span(&bound, 1);
    options.fdb_capacity = 64;
    options.fdb_max_age_ms = 1000;
    options.hash_key = 1;
    options.joins_udp = true;
    weft::Sockets::Failure failure;
    plane = weft::DataPlane::Open(options, stats, quiet, failure);
    if (plane == nullptr || bind(peer, bound.get(), bound.size) != 0) std::abort();
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, device) != 0) std::abort();
    plane->AddNetwork(kVni, 1400);
    plane->AddPort(kVni, 1, std::span<const int>(&device[1], 1), 10, &port_stats);
    // Sent frames go to the discard port.
    plane->AddVtep(kVni, 1, Loopback(9), weft::Encapsulation::kVxlan, &vtep_stats);
    plane->ConfigureVtep(1, true);
    const std::array<uint8_t, weft::kCipherKeyBytes> key{};
    plane->AddReceiveKey(weft::KeyOf(bound.storage), weft::CipherKind::kAes256Gcm, key, 0);
  }
};

void Drain(int fd) {
  static uint8_t buffer[70000];
  while (read(fd, buffer, sizeof buffer) > 0) continue;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  if (size == 0 || size > 65000) return 0;
  const weft::Bind& bound = world.plane->binds()[0];
  const weft::SocketAddress vxlan = Loopback(bound.vxlan_port);
  const weft::SocketAddress mesh = Loopback(bound.mesh_port);
  sendto(world.peer, data, size, 0, vxlan.get(), vxlan.size);
  sendto(world.peer, data, size, 0, mesh.get(), mesh.size);
  if (write(world.device[0], data, size) < 0) Drain(world.device[0]);
  // Returns once the forwarder has come round.
  world.plane->SnapshotFdb(kVni);
  world.plane->DrainControl([](std::span<const uint8_t>, const weft::SocketAddress&) {});
  Drain(world.device[0]);
  return 0;
}
