// DSCP and ECN between inner and outer headers (RFC 6040), and what a relay does to them.
#include <netinet/udp.h>

#include <cstdint>

#include "../core/ecn.hpp"
#include "../core/relay.hpp"
#include "../core/vxlan.hpp"
#include "host.hpp"

namespace weft::test {
namespace {

// As a table of RFC 6040 §4.2, written apart from the code.
struct Row {
  uint8_t inner;
  uint8_t outer;
  int combined;  // -1: dropped
};
constexpr Row kRows[] = {
    {0b00, 0b00, 0b00}, {0b00, 0b10, 0b00}, {0b00, 0b01, 0b00}, {0b00, 0b11, -1},
    {0b10, 0b00, 0b10}, {0b10, 0b10, 0b10}, {0b10, 0b01, 0b01}, {0b10, 0b11, 0b11},
    {0b01, 0b00, 0b01}, {0b01, 0b10, 0b01}, {0b01, 0b01, 0b01}, {0b01, 0b11, 0b11},
    {0b11, 0b00, 0b11}, {0b11, 0b10, 0b11}, {0b11, 0b01, 0b11}, {0b11, 0b11, 0b11},
};
constexpr uint8_t kDscp = 46 << 2;

uint8_t TosIn(const Bytes& frame) { return ecn::TosOf(frame.data(), ParseFrame(frame)); }

TEST(marks_are_combined_by_the_table_and_the_class_stays) {
  for (const Row& row : kRows) {
    for (const bool is_ipv6 : {false, true}) {
      for (const int vlan_tags : {0, 1}) {
        FrameSpec spec;
        spec.is_ipv6 = is_ipv6;
        spec.vlan_tags = vlan_tags;
        spec.tos = kDscp | row.inner;
        Bytes frame = MakeFrame(spec);
        CHECK(TosIn(frame) == spec.tos);
        if (!ecn::Concerns(row.outer)) {
          CHECK(row.combined == row.inner);
          continue;
        }
        CHECK(ecn::Combine(frame, row.outer) == (row.combined >= 0));
        if (row.combined < 0) continue;
        CHECK(TosIn(frame) == (kDscp | row.combined) && HasRightChecksums(frame));
      }
    }
  }
}

TEST(what_is_not_ip_has_no_class_and_takes_no_mark) {
  Bytes arp(60);
  arp[12] = 0x08;
  arp[13] = 0x06;
  const Bytes before = arp;
  CHECK(TosIn(arp) == 0 && ecn::Combine(arp, ecn::kCe) && arp == before);
}

// A peer on a socket of its own, which sees and sets the outer byte.
struct Peer {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  SocketAddress address = Loopback("127.0.0.9", 0);

  Peer() {
    const int on = 1;
    CHECK(bind(fd, address.get(), address.size) == 0);
    CHECK(getsockname(fd, address.get(), &address.size) == 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on) == 0);
  }
  ~Peer() { close(fd); }

  void Send(const Bytes& bytes, const SocketAddress& to, uint8_t tos) const {
    const int value = tos;
    CHECK(setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof value) == 0);
    CHECK(sendto(fd, bytes.data(), bytes.size(), 0, to.get(), to.size) >= 0);
  }

  // The next datagram's outer byte.
  int Receive(Bytes* datagram = nullptr) const {
    pollfd waiting{fd, POLLIN, 0};
    CHECK(poll(&waiting, 1, kPatienceMs) == 1);
    Bytes bytes(70000);
    alignas(cmsghdr) std::array<char, 64> control;
    iovec piece{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = recvmsg(fd, &header, 0);
    CHECK(size > 0);
    bytes.resize(static_cast<size_t>(size));
    if (datagram != nullptr) *datagram = bytes;
    for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
      if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) return *CMSG_DATA(at);
    }
    return -1;
  }
};

TEST(frames_leave_with_their_class_and_to_those_who_combine_with_their_marks) {
  const std::array<uint8_t, kCipherKeyBytes> key{};
  for (const bool is_sealed : {false, true}) {
    for (const bool combines : {false, true}) {
      Host a("127.0.0.1");
      const Peer peer;
      a.plane->AddVtep(kVni, 1, peer.address,
                       is_sealed ? Encapsulation::kSealed : Encapsulation::kVxlan, &a.vtep_stats);
      a.plane->ConfigureVtep(1, combines);
      a.plane->SetSendKey(KeyOf(peer.address.storage), CipherKind::kAes256Gcm, key, 1, 0);
      for (uint8_t mark = 0; mark < 4; mark++) {
        for (const bool is_ipv6 : {false, true}) {
          FrameSpec spec;
          spec.is_ipv6 = is_ipv6;
          spec.tos = kDscp | mark;
          a.Send(VnetHeader{}, MakeFrame(spec));
          CHECK(peer.Receive() == (combines ? kDscp | mark : kDscp));
        }
      }
      a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
      CHECK(peer.Receive() == 0);
    }
  }
}

TEST(a_super_frame_leaves_with_its_class_and_flows_of_another_class_apart) {
  Host a("127.0.0.1");
  const Peer peer;
  a.plane->AddVtep(kVni, 1, peer.address, Encapsulation::kVxlan, &a.vtep_stats);
  for (const uint8_t tos : {kDscp, uint8_t{0}, uint8_t{0x20}}) {
    FrameSpec spec;
    spec.is_partial = true;
    spec.payload_bytes = 5000;
    spec.tos = tos;
    a.Send(OffloadHeader(spec, 1000), MakeFrame(spec));
    for (int i = 0; i < 5; i++) CHECK(peer.Receive() == tos);
  }
}

TEST(the_underlays_marks_travel_inward_or_drop_the_frame) {
  Host b("127.0.0.2");
  const Peer peer;
  b.plane->AddVtep(kVni, 1, peer.address, Encapsulation::kVxlan, &b.vtep_stats);
  uint64_t dropped = 0;
  for (const Row& row : kRows) {
    FrameSpec spec;
    spec.tos = kDscp | row.inner;
    Bytes datagram(vxlan::kHeaderBytes);
    vxlan::WriteHeader(datagram.data(), kVni, false);
    const Bytes frame = MakeFrame(spec);
    datagram.insert(datagram.end(), frame.begin(), frame.end());
    peer.Send(datagram, b.address("127.0.0.2"), row.outer);
    if (row.combined < 0) {
      while (b.drops(DropReason::vxlan_ecn) == dropped) usleep(100);
      dropped++;
      continue;
    }
    const Bytes received = b.Receive();
    const Bytes inner(received.begin() + kVnetBytes, received.end());
    CHECK(TosIn(inner) == (kDscp | row.combined) && HasRightChecksums(inner));
  }
  CHECK(dropped == 1);
}

TEST(marks_travel_inward_from_sealed_frames_too) {
  const std::array<uint8_t, kCipherKeyBytes> key{};
  Host b("127.0.0.2");
  const Peer peer;
  b.plane->AddVtep(kVni, 1, peer.address, Encapsulation::kSealed, &b.vtep_stats);
  b.plane->AddReceiveKey(KeyOf(peer.address.storage), CipherKind::kAes256Gcm, key, 1);
  SendKey seal;
  seal.ciphers[0] = Cipher::Create(CipherKind::kAes256Gcm, key);
  seal.index = 1;
  const SocketAddress to = Loopback("127.0.0.2", b.plane->binds()[0].mesh_port);
  const auto send = [&](uint8_t inner, uint8_t outer) {
    FrameSpec spec;
    spec.tos = inner;
    const Bytes frame = MakeFrame(spec);
    Bytes datagram(frame.size() + sealed::kOverheadBytes);
    seal.Seal(0, frame, datagram.data(), kVni, false);
    peer.Send(datagram, to, outer);
  };
  send(ecn::kEct0, ecn::kCe);
  const Bytes received = b.Receive();
  CHECK(TosIn(Bytes(received.begin() + kVnetBytes, received.end())) == ecn::kCe);
  send(ecn::kNotEct, ecn::kCe);
  while (b.drops(DropReason::sealed_ecn) == 0) usleep(100);
}

TEST(a_relay_keeps_the_outer_class_and_marks_and_a_super_frame_whole) {
  Host c("127.0.0.3");
  const Peer from;
  const Peer to;
  const int on = 1;
  CHECK(setsockopt(to.fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0);
  c.plane->SetRelayPeers({KeyOf(from.address.storage)});
  for (const bool is_last : {false, true}) {
    c.plane->SetRoute(42, to.address, is_last);
    // Ten datagrams in one call, as a native data plane sends them.
    constexpr size_t kBytes = 1000;
    Bytes all(10 * kBytes);
    for (size_t i = 0; i < 10; i++) {
      relay::WriteHeader(&all[i * kBytes], 42);
      std::fill_n(all.begin() + static_cast<ptrdiff_t>(i * kBytes + relay::kHeaderBytes),
                  kBytes - relay::kHeaderBytes, static_cast<uint8_t>(0x80 + i));
    }
    const int segment = kBytes;
    CHECK(setsockopt(from.fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0);
    from.Send(all, Loopback("127.0.0.3", c.plane->binds()[0].mesh_port), kDscp | ecn::kCe);
    Bytes received;
    CHECK(to.Receive(&received) == (kDscp | ecn::kCe));
    const size_t left = kBytes - (is_last ? relay::kHeaderBytes : 0);
    CHECK(received.size() == 10 * left);
    for (size_t i = 0; i < 10; i++) {
      const uint8_t* at = &received[i * left];
      if (!is_last) CHECK(at[0] == relay::kKind && at[1] == relay::kHopLimit - 1);
      CHECK(at[left - 1] == 0x80 + i);
    }
  }
  c.Settle();
  CHECK(c.stats.relayed_datagrams == 20);
}

}  // namespace
}  // namespace weft::test
