// Several forwarders in one data plane: what they share, and the order of what they carry.
#include <poll.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "../core/data-plane.hpp"
#include "frames.hpp"
#include "loopback.hpp"
#include "open-plane.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

constexpr uint32_t kVni = 77;
constexpr uint32_t kVnetBytes = 10;
constexpr uint32_t kThreads = 3;
constexpr int kPatienceMs = 5000;

// A host whose device has a queue for each thread.
struct Host {
  GlobalStats stats[kThreads];
  TrafficStats port_stats[kThreads];
  TrafficStats vtep_stats[kThreads];
  Quiet quiet;
  std::unique_ptr<DataPlane> plane;
  int devices[kThreads];
  int queues[kThreads];

  explicit Host(const char* address) {
    const DataPlaneOptions options{
        .fdb_capacity = 100, .fdb_max_age_ms = 60000, .hash_key = 12345, .threads = kThreads};
    plane = OpenPlane(address, options, stats[0], quiet);
    plane->AddNetwork(kVni, 1400);
    for (uint32_t i = 0; i < kThreads; i++) {
      int pair[2];
      CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
      devices[i] = pair[0];
      queues[i] = pair[1];
    }
    plane->AddPort(kVni, 1, queues, kVnetBytes, port_stats);
  }

  ~Host() {
    plane.reset();
    for (uint32_t i = 0; i < kThreads; i++) {
      close(devices[i]);
      close(queues[i]);
    }
  }

  void Send(uint32_t queue, const Bytes& frame) const {
    Bytes bytes(kVnetBytes);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    CHECK(write(devices[queue], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }

  // The next frame on any queue.
  Bytes Receive() const {
    pollfd waiting[kThreads];
    for (uint32_t i = 0; i < kThreads; i++) waiting[i] = {devices[i], POLLIN, 0};
    CHECK(poll(waiting, kThreads, kPatienceMs) > 0);
    for (const pollfd& each : waiting) {
      if (each.revents == 0) continue;
      Bytes bytes(2000);
      const ssize_t size = read(each.fd, bytes.data(), bytes.size());
      CHECK(size > static_cast<ssize_t>(kVnetBytes));
      return Bytes(bytes.begin() + kVnetBytes, bytes.begin() + size);
    }
    Fail(__FILE__, __LINE__, "a queue is readable");
  }

  void Settle() const { plane->SnapshotFdb(kVni); }
};

uint64_t Sum(const TrafficStats (&stats)[kThreads], StatSlot TrafficStats::*slot) {
  uint64_t sum = 0;
  for (const TrafficStats& each : stats) sum += each.*slot;
  return sum;
}

FrameSpec FlowSpec(uint32_t flow, uint32_t number) {
  FrameSpec spec;
  spec.source_port = static_cast<uint16_t>(5000 + flow);
  spec.sequence = number;
  spec.source = 0x020000000100 + flow;
  // A segment that does something is never joined.
  spec.flags = tcp::kAck | tcp::kFin;
  return spec;
}

// Sends `rounds` frames of each of `flows`, each flow through a queue of its own, and takes them on
// the other side: each flow's in the order in which they were sent.
void Exchange(const Host& from, const Host& to, uint32_t flows, uint32_t first, uint32_t rounds) {
  std::map<uint16_t, uint32_t> next;
  for (uint32_t round = first; round < first + rounds; round++) {
    for (uint32_t flow = 0; flow < flows; flow++) {
      from.Send(flow % kThreads, MakeFrame(FlowSpec(flow, round)));
    }
    for (uint32_t flow = 0; flow < flows; flow++) {
      const Bytes frame = to.Receive();
      const Layers layers = ParseFrame(frame);
      CHECK(layers.kind == FrameKind::kTcp && HasRightChecksums(frame));
      const uint16_t port = LoadBe16(&frame[layers.l4]);
      const auto expected = next.try_emplace(port, first).first;
      CHECK(LoadBe32(&frame[layers.l4 + tcp::kSequence]) == expected->second++);
    }
  }
}

TEST(no_thread_looks_while_another_changes) {
  constexpr uint32_t kChanges = 2000;
  Gate gate(kThreads);
  // Not atomic: whoever is inside relies on the gate.
  uint64_t left = 0;
  uint64_t right = 0;
  std::atomic<bool> is_done{false};
  std::atomic<uint64_t> looks[kThreads] = {};
  std::vector<std::thread> threads;
  for (uint32_t thread = 1; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      while (!is_done.load()) {
        gate.Enter(thread);
        CHECK(left == right);
        gate.Leave(thread);
        looks[thread]++;
      }
    });
  }
  for (uint32_t change = 0; change < kChanges; change++) {
    gate.Shut();
    left++;
    sched_yield();
    right++;
    gate.Open();
  }
  for (uint32_t thread = 1; thread < kThreads; thread++) {
    while (looks[thread].load() == 0) sched_yield();
  }
  is_done.store(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(left == kChanges && right == kChanges);
}

TEST(threads_learn_for_each_other_and_keep_each_flow_in_order) {
  constexpr uint32_t kFlows = 24;
  constexpr uint32_t kRounds = 40;
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  a.plane->AddVtep(kVni, 1, Loopback("127.0.0.2", b.plane->binds()[0].vxlan_port),
                   Encapsulation::kVxlan, a.vtep_stats);
  b.plane->AddVtep(kVni, 1, Loopback("127.0.0.1", a.plane->binds()[0].vxlan_port),
                   Encapsulation::kVxlan, b.vtep_stats);
  for (uint32_t part = 0; part < kRounds; part++) {
    Exchange(a, b, kFlows, part, 1);
    // Changes to the tables pass by while all threads forward.
    b.plane->Pin(kVni, 0x020000000900 + part, 1);
    b.plane->AddNetwork(1000 + part, 1400);
    if (part > 0) b.plane->RemoveNetwork(1000 + part - 1);
  }
  a.Settle();
  b.Settle();
  CHECK(Sum(a.port_stats, &TrafficStats::rx_frames) == kFlows * kRounds);
  CHECK(Sum(a.vtep_stats, &TrafficStats::tx_frames) == kFlows * kRounds);
  CHECK(Sum(b.vtep_stats, &TrafficStats::rx_frames) == kFlows * kRounds);
  CHECK(Sum(b.port_stats, &TrafficStats::tx_frames) == kFlows * kRounds);
  for (const TrafficStats& each : a.port_stats)
    CHECK(each.rx_frames == kFlows * kRounds / kThreads);
  uint64_t learned = 0;
  for (const GlobalStats& each : b.stats) learned += each.fdb_learned;
  CHECK(learned == kFlows);
  CHECK(b.plane->SnapshotFdb(kVni).size() == kFlows + kRounds);
}

TEST(threads_share_a_key_and_use_no_counter_twice) {
  constexpr uint32_t kFlows = 24;
  constexpr uint32_t kRounds = 40;
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  const AddressKey at_a = KeyOf(Loopback("127.0.0.1", 0).storage);
  const AddressKey at_b = KeyOf(Loopback("127.0.0.2", 0).storage);
  a.plane->AddVtep(kVni, 1, Loopback("127.0.0.2", b.plane->binds()[0].mesh_port),
                   Encapsulation::kSealed, a.vtep_stats);
  b.plane->AddVtep(kVni, 1, Loopback("127.0.0.1", a.plane->binds()[0].mesh_port),
                   Encapsulation::kSealed, b.vtep_stats);
  for (uint32_t epoch = 0; epoch < kRounds; epoch++) {
    std::array<uint8_t, kCipherKeyBytes> key;
    key.fill(static_cast<uint8_t>(epoch));
    b.plane->AddReceiveKey(at_a, CipherKind::kAes256Gcm, key, epoch);
    a.plane->SetSendKey(at_b, CipherKind::kAes256Gcm, key, epoch, 0);
    if (epoch > 1) b.plane->RemoveReceiveKey(epoch - 2);
    Exchange(a, b, kFlows, epoch, 1);
  }
  a.Settle();
  b.Settle();
  CHECK(Sum(b.vtep_stats, &TrafficStats::rx_frames) == kFlows * kRounds);
  for (const GlobalStats& each : b.stats) {
    for (const StatSlot dropped : each.drops) CHECK(dropped == 0);
  }
}

TEST(a_port_that_another_process_shares_is_refused) {
  const SocketAddress any = Loopback("127.0.0.4", 0);
  const int taken = socket(AF_INET, SOCK_DGRAM, 0);
  const int on = 1;
  CHECK(setsockopt(taken, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
  CHECK(bind(taken, any.get(), any.size) == 0);
  SocketAddress bound = any;
  CHECK(getsockname(taken, bound.get(), &bound.size) == 0);
  const uint16_t port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port);
  Sockets sockets;
  const Sockets::Failure failure = sockets.Open(std::span(&any, 1), port, 0, kThreads);
  CHECK(failure.error == EADDRINUSE && failure.port == port);
  close(taken);
}

}  // namespace
}  // namespace weft::test
