// soak SECONDS: two data planes exchange super-frames while tables change under them, ports and
// networks come and go, and a stranger sends them noise. What is lost must be counted, the heap
// must not grow, and the sanitizers that this is built with must have nothing to say.
#include <poll.h>
#include <unistd.h>

#include <chrono>

#include "../core/data-plane.hpp"
#include "../test/frames.hpp"
#include "../test/loopback.hpp"
#include "../test/open-plane.hpp"
#include "../test/test.hpp"

// Of the address sanitizer's runtime, whose headers Debian packs with clang only.
extern "C" size_t __sanitizer_get_current_allocated_bytes();

namespace weft::test {
namespace {

constexpr uint32_t kVni = 77;
constexpr uint32_t kVnetBytes = 10;
constexpr uint32_t kBurst = 8;
constexpr int kPatienceMs = 10000;
// The heap of a data plane at rest may differ by what its hash tables keep for later.
constexpr size_t kHeapSlackBytes = 256 << 10;

// A socket pair in place of a TAP queue.
struct Device {
  TrafficStats stats;
  int ours = -1;
  int theirs = -1;

  void Open() {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ours = pair[0];
    theirs = pair[1];
    const int bytes = 4 << 20;
    for (const int fd : pair) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  }
  void Close() {
    close(ours);
    close(theirs);
  }
};

class Host {
 public:
  explicit Host(const char* address) : address_(address) {
    // No frame's destination is ever learned: all are floods.
    const DataPlaneOptions options{.fdb_capacity = 1000,
                                   .fdb_max_age_ms = 50,
                                   .unknown_unicast_rate = 1'000'000'000,
                                   .hash_key = 12345,
                                   .joins_udp = true};
    plane_ = OpenPlane(address, options, stats_, quiet_);
    plane_->AddNetwork(kVni, 1400);
    device_.Open();
    plane_->AddPort(kVni, 1, std::span<const int>(&device_.theirs, 1), kVnetBytes, &device_.stats);
  }

  ~Host() {
    plane_.reset();
    device_.Close();
  }

  SocketAddress vxlan() const { return Loopback(address_, plane_->binds()[0].vxlan_port); }
  SocketAddress mesh() const { return Loopback(address_, plane_->binds()[0].mesh_port); }

  void Connect(const Host& peer) {
    plane_->AddVtep(kVni, 1, peer.vxlan(), Encapsulation::kVxlan, &vtep_);
  }

  // Another network, with a port and a VTEP and MACs, that is gone when this returns.
  void ComeAndGo(const Host& peer) {
    TrafficStats vtep;
    Device device;
    device.Open();
    plane_->AddNetwork(kVni + 1, 1400);
    plane_->AddPort(kVni + 1, 2, std::span<const int>(&device.theirs, 1), kVnetBytes,
                    &device.stats);
    plane_->AddVtep(kVni + 1, 2, peer.vxlan(), Encapsulation::kVxlan, &vtep);
    plane_->MoveVtep(2, peer.mesh());
    plane_->ConfigureVtep(2, true);
    plane_->Pin(kVni + 1, 0x02000000aaaa, 2);
    CHECK(plane_->SnapshotFdb(kVni + 1).size() == 1);
    plane_->Unpin(kVni + 1, 0x02000000aaaa);
    plane_->RemoveNetwork(kVni + 1);
    device.Close();
  }

  void Send(const VnetHeader& vnet, const Bytes& frame) const {
    Bytes bytes(reinterpret_cast<const uint8_t*>(&vnet),
                reinterpret_cast<const uint8_t*>(&vnet) + kVnetBytes);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    CHECK(write(device_.ours, bytes.data(), bytes.size()) > 0);
  }

  // Reads until so many bytes of frames of this size have come.
  void Await(size_t payload_bytes) const {
    static uint8_t buffer[70000];
    for (size_t left = payload_bytes; left > 0;) {
      pollfd waiting{device_.ours, POLLIN, 0};
      CHECK(poll(&waiting, 1, kPatienceMs) == 1);
      const ssize_t size = read(device_.ours, buffer, sizeof buffer);
      CHECK(size > 0);
      const auto frame = std::span(buffer, static_cast<size_t>(size)).subspan(kVnetBytes);
      left -= PayloadOf(frame).size();
    }
  }

  void DrainControl() const {
    plane_->DrainControl([](std::span<const uint8_t>, const SocketAddress&) {});
  }

  uint64_t drops(DropReason reason) const { return stats_.drops[static_cast<size_t>(reason)]; }
  const TrafficStats& port() const { return device_.stats; }

 private:
  const char* address_;
  Quiet quiet_;
  GlobalStats stats_;
  TrafficStats vtep_;
  Device device_;
  std::unique_ptr<DataPlane> plane_;
};

uint32_t Random() {
  static uint32_t state = 1;
  state = state * 1664525 + 1013904223;
  return state >> 8;
}

// A burst of super-frames, which has arrived when this returns.
void Exchange(const Host& from, const Host& to) {
  FrameSpec spec;
  spec.is_tcp = Random() % 4 != 0;
  spec.is_ipv6 = Random() % 2 == 0;
  spec.is_partial = true;
  spec.source_port = static_cast<uint16_t>(Random());
  // More MACs than the FDB holds, so that it evicts and ages.
  spec.source = 0x020000000000 + Random() % 3000;
  spec.destination = 0x020000010000 + Random() % 3000;
  size_t total = 0;
  for (uint32_t i = 0; i < kBurst; i++) {
    spec.payload_bytes = 1 + Random() % 30000;
    from.Send(OffloadHeader(spec, 1300), MakeFrame(spec));
    spec.sequence += spec.payload_bytes;
    total += spec.payload_bytes;
  }
  to.Await(total);
}

void SendNoise(int stranger, const Host& to) {
  uint8_t bytes[200];
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(Random());
  for (const SocketAddress& address : {to.vxlan(), to.mesh()}) {
    const size_t size = Random() % sizeof bytes;
    bytes[0] = static_cast<uint8_t>(Random() % 3 == 0 ? 8 : Random());
    CHECK(sendto(stranger, bytes, size, 0, address.get(), address.size) >= 0);
  }
  to.DrainControl();
}

int Run(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  a.Connect(b);
  b.Connect(a);
  const int stranger = socket(AF_INET, SOCK_DGRAM, 0);
  uint64_t rounds = 0;
  size_t warm_heap = 0;
  for (; rounds < 200 || elapsed() < seconds; rounds++) {
    Exchange(a, b);
    Exchange(b, a);
    SendNoise(stranger, a);
    if (rounds % 16 == 0) a.ComeAndGo(b);
    if (rounds == 100) warm_heap = __sanitizer_get_current_allocated_bytes();
  }
  close(stranger);
  const size_t heap = __sanitizer_get_current_allocated_bytes();
  std::printf("ok - soak: %.0f s, %llu rounds, %llu frames, heap %zu then %zu KiB\n", elapsed(),
              static_cast<unsigned long long>(rounds),
              static_cast<unsigned long long>(a.port().tx_frames + b.port().tx_frames),
              warm_heap >> 10, heap >> 10);
  CHECK(heap <= warm_heap + kHeapSlackBytes);
  CHECK(a.port().tx_frames == b.port().rx_frames && b.port().tx_frames == a.port().rx_frames);
  CHECK(a.drops(DropReason::vxlan_vtep_unknown) + a.drops(DropReason::vxlan_vni_unknown) > 0);
  return 0;
}

}  // namespace
}  // namespace weft::test

int main(int count, char** arguments) {
  return weft::test::Run(count > 1 ? std::atof(arguments[1]) : 10);
}
