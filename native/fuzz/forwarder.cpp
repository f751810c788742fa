// The whole of a data plane from its sockets on: a host with two ports and a VTEP, to which the
// input sends datagrams and frames. Each is counted exactly once, and afterwards the forwarder
// still forwards. The input is a series of records:
//
//   | way 1 | size 2 | bytes ... |   way below 200, modulo 5: to the VXLAN socket; the same with a
//                                    valid VXLAN header before it; to the mesh socket; out of the
//                                    port, a virtio-net header first; sealed by a peer, the higher
//                                    bits of `way` choosing the counter and damage. From 200 on:
//                                    relayed, the rest choosing the route and damage. From 250 on:
//                                    in the clear from where that was agreed on
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "../core/data-plane.hpp"
#include "../core/relay.hpp"
#include "../core/sealed.hpp"
#include "../core/vxlan.hpp"
#include "../test/loopback.hpp"
#include "../test/open-plane.hpp"
#include "input.hpp"

namespace weft {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint32_t kVni = 0x5eed42;
using test::Loopback;

constexpr uint32_t kMtu = 1450;
constexpr uint32_t kVnetBytes = 10;
constexpr uint32_t kMaxRecords = 24;
constexpr uint8_t kFirstRelayed = 200;
constexpr uint8_t kFirstUnsealed = 250;
// Of routes: on to another relay, to the host itself, back to where it came from.
constexpr uint64_t kTags[] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333};
constexpr int kPatienceMs = 10000;
constexpr CipherKind kCipher = CipherKind::kAes256Gcm;
constexpr uint32_t kKeyIndex = 0x01020304;
constexpr uint64_t kMarkerSource = 0x0200000000fe;

// A frame to everyone whose payload is the number.
Bytes Marker(uint32_t number) {
  Bytes frame(18);
  std::fill_n(frame.begin(), 6, uint8_t{0xff});
  StoreBe64(frame.data() + 6, kMarkerSource << 16 | 0x88b5);
  StoreBe32(frame.data() + 14, number);
  return frame;
}

// A call that a signal cut short is made again: libFuzzer has a timer (-timeout), and poll(2) is
// never restarted.
template <typename Call>
auto Retried(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Into a network namespace of its own, where no stranger's datagram comes from.
void LeaveNetwork() {
  CHECK(unshare(CLONE_NEWNET) == 0);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  CHECK(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
  close(fd);
}

bool EndsWith(std::span<const uint8_t> bytes, const Bytes& end) {
  return bytes.size() >= end.size() && std::equal(end.begin(), end.end(), bytes.end() - end.size());
}

struct Device {
  TrafficStats stats;
  int ours = -1;
  int theirs = -1;
};

class World {
 public:
  World() {
    LeaveNetwork();
    const DataPlaneOptions options{
        .fdb_capacity = 64, .fdb_max_age_ms = 60000, .hash_key = 0x1234567, .joins_udp = true};
    plane_ = test::OpenPlane("127.0.0.1", options, stats_, waker_);
    plane_->AddNetwork(kVni, kMtu);
    raw_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const SocketAddress peer = Loopback("127.0.0.2", 0);
    CHECK(bind(raw_, peer.get(), peer.size) == 0);
    SocketAddress local;
    local.size = sizeof local.storage;
    getsockname(raw_, local.get(), &local.size);
    plane_->AddVtep(kVni, 1, local, Encapsulation::kVxlan, &vtep_);
    AddSealedPeer(local);
    AddRoutes(local);
    for (uint32_t i = 0; i < 2; i++) AddPort(i);
    plane_->Pin(kVni, 0x020000000005, 1);
    const EndpointUpdate elsewhere{0x020000000007, plane_->VtepAt(2), true, KeyOfIpv4(0x0a070007)};
    plane_->UpdateEndpoints(kVni, std::span(&elsewhere, 1));
    vxlan_ = Loopback("127.0.0.1", plane_->binds()[0].vxlan_port);
    mesh_ = Loopback("127.0.0.1", plane_->binds()[0].mesh_port);
  }

  void Run(fuzz::Input& input) {
    const uint64_t before = Counted();
    uint32_t datagrams = 0;
    bool has_long = false;
    for (uint32_t i = 0; i < kMaxRecords && !input.is_empty(); i++) {
      const uint8_t choice = input.Byte();
      const uint8_t way = choice < kFirstRelayed ? choice % 5 : choice < kFirstUnsealed ? 5 : 6;
      const auto bytes = input.Take(input.Word() % 2048);
      has_long |= bytes.size() > kMtu;
      if (way == 3) {
        if (!bytes.empty()) Write(bytes);
      } else {
        if (way == 4) {
          SendSealed(choice / 5, bytes);
        } else if (way == 5) {
          SendRelayed(choice - kFirstRelayed, bytes);
        } else if (way == 6) {
          SendUnsealed(choice - kFirstUnsealed, bytes);
        } else {
          Send(way, bytes);
        }
        datagrams++;
      }
    }
    AwaitAll();
    // One marker to the VXLAN socket and one to the mesh socket are ours. A super-frame counts as
    // the frames that it is cut into.
    const uint64_t counted = Counted() - before;
    CHECK(counted == datagrams + 2 || (has_long && counted > datagrams + 2));
  }

 private:
  void Write(std::span<const uint8_t> frame) {
    CHECK(Retried([&] { return write(ports_[0].ours, frame.data(), frame.size()); }) > 0);
  }

  // Nobody listens at its address; what it seals comes from ours.
  void AddSealedPeer(const SocketAddress& raw) {
    const SocketAddress peer = Loopback("127.0.0.3", 9);
    const std::array<uint8_t, kCipherKeyBytes> key{};
    plane_->AddVtep(kVni, 2, peer, Encapsulation::kSealed, &sealed_vtep_);
    plane_->SetSendKey(KeyOf(peer.storage), kCipher, key, kKeyIndex, 0);
    plane_->AddReceiveKey(KeyOf(peer.storage), kCipher, key, kKeyIndex);
    plane_->SetUnsealedSources(KeyOf(peer.storage), std::span(&raw, 1));
    seal_.ciphers[0] = Cipher::Create(kCipher, key);
    seal_.index = kKeyIndex;
  }

  void SendSealed(uint8_t choice, std::span<const uint8_t> frame) {
    const uint64_t next = seal_.next_counter;
    if (choice % 4 == 1 && next > 0) seal_.next_counter = next - 1;  // replayed
    if (choice % 4 == 2) seal_.next_counter = next + 1000;           // a jump
    if (choice % 4 == 3) seal_.next_counter = next / 2;              // late, or too late
    Bytes datagram(frame.size() + sealed::kOverheadBytes);
    seal_.Seal(0, frame, datagram.data(), kVni, choice / 4 % 2 == 1);
    seal_.next_counter = std::max(next, seal_.next_counter.load());
    if (choice >= 40) datagram[datagram.size() * choice / 64] ^= choice;
    Send(2, datagram);
  }

  void SendUnsealed(uint8_t choice, std::span<const uint8_t> frame) {
    Bytes datagram(unsealed::kHeaderBytes);
    const uint32_t index = choice == 5 ? kKeyIndex + 1 : kKeyIndex;
    unsealed::WriteHeader(datagram.data(), choice == 4 ? kVni + 1 : kVni, index, choice % 2 == 1);
    datagram.insert(datagram.end(), frame.begin(), frame.end());
    Send(2, datagram);
  }

  // What is relayed goes to a socket that nobody reads: what it has no room for, the kernel drops.
  void AddRoutes(const SocketAddress& raw) {
    const int sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SocketAddress to = Loopback("127.0.0.4", 0);
    CHECK(bind(sink, to.get(), to.size) == 0);
    CHECK(getsockname(sink, to.get(), &to.size) == 0);
    plane_->SetRelayPeers({KeyOf(raw.storage)});
    plane_->SetRoute(kTags[0], to, false);
    plane_->SetRoute(kTags[1], to, true);
    plane_->SetRoute(kTags[2], raw, true);
  }

  void SendRelayed(uint8_t choice, std::span<const uint8_t> inner) {
    Bytes datagram(inner.size() + relay::kHeaderBytes);
    relay::WriteHeader(datagram.data(), kTags[choice % 3]);
    std::copy(inner.begin(), inner.end(), datagram.begin() + relay::kHeaderBytes);
    if (choice / 3 % 4 == 1) datagram[relay::kHopLimitAt] = choice % 2;
    if (choice / 3 % 4 == 2) datagram[choice % relay::kHeaderBytes] ^= choice;
    if (choice / 3 % 4 == 3) datagram.resize(choice % (relay::kHeaderBytes + 1));
    Send(2, datagram);
  }

  void AddPort(uint32_t index) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ports_[index].ours = pair[0];
    ports_[index].theirs = pair[1];
    plane_->AddPort(kVni, index + 1, std::span<const int>(&ports_[index].theirs, 1), kVnetBytes,
                    &ports_[index].stats);
  }

  void Send(uint8_t way, std::span<const uint8_t> bytes) {
    Bytes datagram;
    if (way == 1) {
      datagram.resize(vxlan::kHeaderBytes);
      vxlan::WriteHeader(datagram.data(), kVni, false);
    }
    datagram.insert(datagram.end(), bytes.begin(), bytes.end());
    const SocketAddress& to = way == 2 ? mesh_ : vxlan_;
    const auto send = [&] {
      return sendto(raw_, datagram.data(), datagram.size(), 0, to.get(), to.size);
    };
    CHECK(Retried(send) >= 0);
  }

  // What has been sent is dealt with when what was sent after it on the same way arrives.
  void AwaitAll() {
    number_++;
    const Bytes marker = Marker(number_);
    Send(1, marker);
    AwaitAt(ports_[1].ours, marker);
    Bytes frame(kVnetBytes);
    frame.insert(frame.end(), marker.begin(), marker.end());
    Write(frame);
    AwaitAt(raw_, marker);
    uint8_t control[5] = {1};
    StoreBe32(control + 1, number_);
    Send(2, control);
    AwaitControl(control);
    Drain(ports_[0].ours);
    Drain(ports_[1].ours);
  }

  static void AwaitAt(int fd, const Bytes& marker) {
    static uint8_t buffer[70000];
    for (;;) {
      pollfd waiting{fd, POLLIN, 0};
      CHECK(Retried([&] { return poll(&waiting, 1, kPatienceMs); }) == 1);
      CHECK(waiting.revents == POLLIN);
      const ssize_t size = Retried([&] { return recv(fd, buffer, sizeof buffer, MSG_DONTWAIT); });
      CHECK(size > 0);
      if (EndsWith(std::span(buffer, static_cast<size_t>(size)), marker)) return;
    }
  }

  void AwaitControl(std::span<const uint8_t> last) {
    for (bool is_found = false; !is_found;) {
      const uint32_t wakes = waker_.wakes;
      plane_->DrainControl([&](std::span<const uint8_t> bytes, const SocketAddress&) {
        CHECK(!bytes.empty() && bytes[0] >= 0x01 && bytes[0] <= 0x6f);
        CHECK(bytes[0] <= 0x1f || bytes[0] >= 0x40);
        controls_++;
        is_found |= std::equal(bytes.begin(), bytes.end(), last.begin(), last.end());
      });
      if (!is_found) waker_.wakes.wait(wakes);
    }
  }

  static void Drain(int fd) {
    static uint8_t buffer[70000];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
  }

  // Of frames that were received, or that were to be sent.
  static bool IsCountedBeside(DropReason reason) {
    return reason == DropReason::vxlan_no_port || reason == DropReason::sealed_no_port ||
           reason == DropReason::sealed_no_key || reason == DropReason::sealed_key_exhausted;
  }

  // Datagrams that were either refused by name or taken.
  uint64_t Counted() const {
    uint64_t refused = 0;
    const auto from = static_cast<size_t>(DropReason::vxlan_short);
    const auto to = static_cast<size_t>(DropReason::underlay_send_failed);
    for (size_t i = from; i < to; i++) {
      if (!IsCountedBeside(static_cast<DropReason>(i))) refused += stats_.drops[i];
    }
    return refused + vtep_.rx_frames + sealed_vtep_.rx_frames + stats_.relayed_datagrams +
           controls_;
  }

  GlobalStats stats_;
  TrafficStats vtep_;
  TrafficStats sealed_vtep_;
  SendKey seal_;
  test::Flag waker_;
  Device ports_[2];
  int raw_ = -1;
  SocketAddress vxlan_;
  SocketAddress mesh_;
  uint32_t number_ = 0;
  uint64_t controls_ = 0;
  std::unique_ptr<DataPlane> plane_;
};

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  // One for all inputs, as a daemon is for all that a network sends it.
  static World* world = new World();
  fuzz::Input input(data, size);
  world->Run(input);
  return 0;
}
