#include "../core/send-queue.hpp"

#include <arpa/inet.h>
#include <sys/un.h>
#include <unistd.h>

#include "../core/endian.hpp"
#include "../core/sockets.hpp"
#include "frames.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

// Two sockets and a queue from one to the other.
struct Way {
  GlobalStats stats;
  TrafficStats traffic;
  Vtep vtep;
  OwnedFd sender;
  OwnedFd receiver;
  SendQueue queue{stats, 0};
  std::vector<std::unique_ptr<Bytes>> buffers;

  explicit Way(int family)
      : sender(socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0)),
        receiver(socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    SocketAddress& address = vtep.address;
    if (family == AF_INET) {
      auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
      in->sin_family = AF_INET;
      in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.size = sizeof *in;
    } else {
      // An abstract name of the kernel's choice.
      address.storage.ss_family = AF_UNIX;
      address.size = sizeof(sa_family_t);
    }
    CHECK(bind(receiver.get(), address.get(), address.size) == 0);
    address.size = sizeof address.storage;
    CHECK(getsockname(receiver.get(), address.get(), &address.size) == 0);
  }

  // A datagram in two pieces that begins with `number`.
  void Add(uint32_t number, size_t size) {
    buffers.push_back(std::make_unique<Bytes>(size, 0));
    Bytes& bytes = *buffers.back();
    StoreBe32(bytes.data(), number);
    const std::span<const uint8_t> all(bytes);
    queue.Add({&vtep, vtep.address, &vtep.is_plain, &traffic, nullptr}, sender.get(), all.first(4),
              all.subspan(4), static_cast<uint32_t>(size));
  }

  // The size of the next datagram that has arrived, or 0; its number goes to `number`.
  size_t Receive(uint32_t* number = nullptr) const {
    uint8_t bytes[70000];
    const ssize_t size = recv(receiver.get(), bytes, sizeof bytes, 0);
    if (size <= 0) return 0;
    if (number != nullptr) *number = LoadBe32(bytes);
    return static_cast<size_t>(size);
  }

  uint64_t drops(DropReason reason) const { return stats.drops[static_cast<size_t>(reason)]; }
};

TEST(datagrams_arrive_in_order_and_with_their_sizes) {
  Way way(AF_INET);
  const size_t sizes[] = {1000, 1000, 1000, 10, 1000, 2000, 2000, 500};
  uint32_t sent = 0;
  for (const size_t size : sizes) way.Add(sent++, size);
  CHECK(way.queue.Send() == SendQueue::Outcome::kSent && way.queue.is_empty());
  for (uint32_t i = 0; i < sent; i++) {
    uint32_t number = UINT32_MAX;
    CHECK(way.Receive(&number) == sizes[i] && number == i);
  }
  CHECK(way.Receive() == 0 && way.traffic.tx_frames == sent);
}

TEST(a_message_holds_64_datagrams_and_64_kib_at_most) {
  for (const size_t size : {size_t{100}, size_t{1400}, size_t{9000}}) {
    Way way(AF_INET);
    const int bytes = 8 << 20;
    setsockopt(way.receiver.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    for (uint32_t i = 0; i < 150; i++) way.Add(i, size);
    CHECK(way.queue.Send() == SendQueue::Outcome::kSent);
    uint32_t count = 0;
    while (way.Receive() == size) count++;
    CHECK(count + way.drops(DropReason::underlay_send_failed) == 150 && count == 150);
  }
}

// A Unix socket's receiver holds few messages, and its sender is then told to wait.
TEST(what_a_full_socket_refused_leaves_later_and_in_order) {
  Way way(AF_UNIX);
  way.vtep.is_plain = true;
  constexpr uint32_t kCount = 2000;
  for (uint32_t i = 0; i < kCount; i++) way.Add(i, 100);
  CHECK(way.queue.Send() == SendQueue::Outcome::kBlocked);
  uint32_t next = 0;
  for (int turn = 0; turn < 10000 && next < kCount; turn++) {
    for (uint32_t number; way.Receive(&number) > 0; next++) CHECK(number == next);
    if (!way.queue.is_empty()) way.queue.Send();
  }
  CHECK(next == kCount && way.queue.is_empty() && way.traffic.tx_frames == kCount);
}

TEST(what_waits_too_long_is_dropped_and_counted) {
  Way way(AF_UNIX);
  way.vtep.is_plain = true;
  for (uint32_t i = 0; i < 2000; i++) way.Add(i, 100);
  CHECK(way.queue.Send() == SendQueue::Outcome::kBlocked);
  way.queue.Abandon();
  CHECK(way.queue.is_empty());
  CHECK(way.drops(DropReason::underlay_queue_full) + way.traffic.tx_frames == 2000);
  CHECK(way.drops(DropReason::underlay_queue_full) > 0);
}

// The kernel refuses UDP_SEGMENT on a socket that sends no checksums.
TEST(a_route_without_segmentation_gets_one_datagram_at_a_time) {
  Way way(AF_INET);
  const int on = 1;
  CHECK(setsockopt(way.sender.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on) == 0);
  for (uint32_t i = 0; i < 10; i++) way.Add(i, 500);
  CHECK(way.queue.Send() == SendQueue::Outcome::kSent);
  CHECK(way.vtep.is_plain && way.stats.plain_vteps == 1);
  for (uint32_t i = 0; i < 10; i++) {
    uint32_t number = UINT32_MAX;
    CHECK(way.Receive(&number) == 500 && number == i);
  }
  CHECK(way.traffic.tx_frames == 10 && way.traffic.tx_bytes == 5000);
}

TEST(a_datagram_that_the_kernel_refuses_is_counted_and_the_rest_go_on) {
  Way way(AF_INET);
  way.vtep.is_plain = true;
  way.Add(0, 100);
  way.Add(1, 66000);
  way.Add(2, 100);
  CHECK(way.queue.Send() == SendQueue::Outcome::kSent);
  uint32_t number = UINT32_MAX;
  CHECK(way.Receive(&number) == 100 && number == 0);
  CHECK(way.Receive(&number) == 100 && number == 2);
  CHECK(way.drops(DropReason::underlay_send_failed) == 1);
}

}  // namespace
}  // namespace weft::test
