// Two data planes on the loopback interface, with socket pairs for devices.
#include <unistd.h>

#include "../core/vxlan.hpp"
#include "frames.hpp"
#include "host.hpp"
#include "test.hpp"

namespace weft::test {
namespace {

void Connect(Host& a, Host& b, bool takes_partial = false) {
  a.plane->AddVtep(kVni, 1, b.address("127.0.0.2"), Encapsulation::kVxlan, &a.vtep_stats);
  b.plane->AddVtep(kVni, 1, a.address("127.0.0.1"), Encapsulation::kVxlan, &b.vtep_stats);
  a.plane->ConfigureVtep(1, takes_partial);
  b.plane->ConfigureVtep(1, takes_partial);
}

Bytes FrameOf(const Bytes& bytes) { return Bytes(bytes.begin() + kVnetBytes, bytes.end()); }

TEST(a_super_frame_crosses_the_underlay_and_is_one_again) {
  for (const bool takes_partial : {false, true}) {
    for (const bool is_tcp : {false, true}) {
      Host a("127.0.0.1");
      Host b("127.0.0.2");
      Connect(a, b, takes_partial);
      FrameSpec spec;
      spec.is_tcp = is_tcp;
      spec.is_partial = true;
      spec.payload_bytes = 13000;
      const Bytes frame = MakeFrame(spec);
      const VnetHeader sent = OffloadHeader(spec, 1300);
      a.Send(sent, frame);
      const Bytes received = b.Receive();
      CHECK(FrameOf(received) == frame);
      CHECK(std::memcmp(received.data(), &sent, kVnetBytes) == 0);
      a.Settle();
      b.Settle();
      CHECK(a.vtep_stats.tx_frames == 10 && b.vtep_stats.rx_frames == 10);
      CHECK(b.port_stats.tx_frames == 10 && a.port_stats.rx_frames == 10);
    }
  }
}

TEST(a_device_without_offloads_gets_whole_frames) {
  Host a("127.0.0.1");
  Host b("127.0.0.2", 0);
  Connect(a, b, true);
  FrameSpec spec;
  spec.is_partial = true;
  spec.payload_bytes = 5000;
  a.Send(OffloadHeader(spec, 1000), MakeFrame(spec));
  for (uint32_t i = 0; i < 5; i++) {
    const Bytes frame = b.Receive();
    CHECK(HasRightChecksums(frame) && PayloadOf(frame).size() == 1000);
  }
}

// A frame behind a VXLAN header, as a VTEP sends it.
Bytes Wrap(uint32_t vni, const Bytes& frame) {
  Bytes datagram(vxlan::kHeaderBytes);
  vxlan::WriteHeader(datagram.data(), vni, false);
  datagram.insert(datagram.end(), frame.begin(), frame.end());
  return datagram;
}

// A kernel VXLAN device on a virtual underlay sends such, and says nothing of it.
TEST(a_checksum_that_a_foreign_vtep_left_unfinished_is_finished_here) {
  for (const bool is_tcp : {true, false}) {
    Host b("127.0.0.2", 0);
    const int raw = socket(AF_INET, SOCK_DGRAM, 0);
    b.plane->AddVtep(kVni, 1, Loopback("127.0.0.1", 4789), Encapsulation::kVxlan, &b.vtep_stats);
    FrameSpec spec;
    spec.is_tcp = is_tcp;
    spec.is_partial = true;
    const Bytes datagram = Wrap(kVni, MakeFrame(spec));
    const SocketAddress to = b.address("127.0.0.2");
    CHECK(sendto(raw, datagram.data(), datagram.size(), 0, to.get(), to.size) > 0);
    const Bytes received = b.Receive();
    CHECK(HasRightChecksums(received));
    close(raw);
  }
}

// On a virtual underlay a kernel VXLAN device's or a fast path's super-frame reaches the socket
// whole.
TEST(a_super_frame_that_no_kernel_cut_up_is_cut_up_here) {
  for (const bool is_ipv6 : {false, true}) {
    for (const uint32_t vnet_bytes : {0U, kVnetBytes}) {
      Host b("127.0.0.2", vnet_bytes);
      const int raw = socket(AF_INET, SOCK_DGRAM, 0);
      b.plane->AddVtep(kVni, 1, Loopback("127.0.0.1", 4789), Encapsulation::kVxlan, &b.vtep_stats);
      FrameSpec spec;
      spec.is_ipv6 = is_ipv6;
      spec.is_partial = true;
      spec.payload_bytes = 5000;
      const Bytes frame = MakeFrame(spec);
      const Bytes datagram = Wrap(kVni, frame);
      const SocketAddress to = b.address("127.0.0.2");
      CHECK(sendto(raw, datagram.data(), datagram.size(), 0, to.get(), to.size) > 0);
      const auto segment = static_cast<uint16_t>(1400 - (is_ipv6 ? 60 : 40));
      if (vnet_bytes > 0) {
        const Bytes received = b.Receive();
        const VnetHeader wanted = OffloadHeader(spec, segment);
        CHECK(FrameOf(received) == frame);
        CHECK(std::memcmp(received.data(), &wanted, kVnetBytes) == 0);
      } else {
        for (const size_t bytes :
             {size_t{segment}, size_t{segment}, size_t{segment}, size_t{5000} - 3U * segment}) {
          const Bytes received = b.Receive();
          CHECK(HasRightChecksums(received) && PayloadOf(received).size() == bytes);
        }
      }
      b.Settle();
      CHECK(b.vtep_stats.rx_frames == 4 && b.port_stats.tx_frames == 4);
      close(raw);
    }
  }
}

TEST(learned_macs_show_in_a_snapshot) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  Connect(a, b);
  FrameSpec spec;
  a.Send(VnetHeader{}, MakeFrame(spec));
  b.Receive();
  const auto rows = b.plane->SnapshotFdb(kVni);
  CHECK(rows.size() == 1 && rows[0].mac == spec.source && rows[0].is_vtep && !rows[0].is_pinned);
  b.plane->RemoveVtep(1);
  CHECK(b.plane->SnapshotFdb(kVni).empty() && b.stats.fdb_flushed == 1);
}

TEST(control_datagrams_come_up_with_their_sender) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  const Bytes hello = {1, 2, 3};
  a.plane->SendControl(hello, Loopback("127.0.0.2", b.plane->binds()[0].mesh_port));
  b.flag.wakes.wait(0);
  int count = 0;
  b.plane->DrainControl([&](std::span<const uint8_t> bytes, const SocketAddress& from) {
    CHECK(std::equal(bytes.begin(), bytes.end(), hello.begin(), hello.end()));
    const auto* in = reinterpret_cast<const sockaddr_in*>(from.get());
    CHECK(ntohs(in->sin_port) == a.plane->binds()[0].mesh_port);
    count++;
  });
  CHECK(count == 1);
}

std::array<uint8_t, kCipherKeyBytes> SealingKey(uint8_t fill) {
  std::array<uint8_t, kCipherKeyBytes> key;
  key.fill(fill);
  return key;
}

void ConnectSealed(Host& a, Host& b) {
  const SocketAddress at_a = Loopback("127.0.0.1", a.plane->binds()[0].mesh_port);
  const SocketAddress at_b = Loopback("127.0.0.2", b.plane->binds()[0].mesh_port);
  a.plane->AddVtep(kVni, 1, at_b, Encapsulation::kSealed, &a.vtep_stats);
  b.plane->AddVtep(kVni, 1, at_a, Encapsulation::kSealed, &b.vtep_stats);
}

AddressKey PeerKey(const char* text) { return KeyOf(Loopback(text, 0).storage); }

TEST(sealed_frames_cross_while_keys_change_under_them) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  ConnectSealed(a, b);
  FrameSpec spec;
  spec.is_partial = true;
  spec.payload_bytes = 13000;
  const Bytes frame = MakeFrame(spec);
  for (uint32_t epoch = 0; epoch < 20; epoch++) {
    const CipherKind kind = epoch % 2 == 0 ? CipherKind::kAes256Gcm : CipherKind::kChaCha20Poly1305;
    const auto key = SealingKey(static_cast<uint8_t>(epoch));
    b.plane->AddReceiveKey(PeerKey("127.0.0.1"), kind, key, epoch);
    a.plane->SetSendKey(PeerKey("127.0.0.2"), kind, key, epoch, 0);
    if (epoch >= 2) b.plane->RemoveReceiveKey(epoch - 2);
    for (int i = 0; i < 5; i++) {
      a.Send(OffloadHeader(spec, 1300), frame);
      CHECK(FrameOf(b.Receive()) == frame);
    }
  }
  a.Settle();
  b.Settle();
  CHECK(a.vtep_stats.tx_frames == 1000 && b.vtep_stats.rx_frames == 1000);
}

TEST(unsealed_super_frames_cross_where_it_was_agreed_and_nowhere_else) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  ConnectSealed(a, b);
  const auto key = SealingKey(1);
  b.plane->AddReceiveKey(PeerKey("127.0.0.1"), CipherKind::kAes256Gcm, key, 1);
  a.plane->SetSendKey(PeerKey("127.0.0.2"), CipherKind::kAes256Gcm, key, 1, 0);
  Path path;
  path.is_set = true;
  path.to = Loopback("127.0.0.2", b.plane->binds()[0].mesh_port);
  path.is_unsealed = true;
  a.plane->SetPath(PeerKey("127.0.0.2"), path);
  FrameSpec spec;
  spec.is_partial = true;
  spec.payload_bytes = 13000;
  const Bytes frame = MakeFrame(spec);
  a.Send(OffloadHeader(spec, 1300), frame);
  while (b.drops(DropReason::unsealed_not_agreed) < 10) usleep(100);
  const SocketAddress at_a = Loopback("127.0.0.1", a.plane->binds()[0].mesh_port);
  b.plane->SetUnsealedSources(PeerKey("127.0.0.1"), std::span(&at_a, 1));
  for (int i = 0; i < 5; i++) {
    a.Send(OffloadHeader(spec, 1300), frame);
    CHECK(FrameOf(b.Receive()) == frame);
  }
  // The next path is sealed from its first frame on, and what was sealed needs no agreement.
  b.plane->SetUnsealedSources(PeerKey("127.0.0.1"), {});
  path.is_unsealed = false;
  a.plane->SetPath(PeerKey("127.0.0.2"), path);
  a.Send(OffloadHeader(spec, 1300), frame);
  CHECK(FrameOf(b.Receive()) == frame);
  b.Settle();
  CHECK(b.drops(DropReason::unsealed_not_agreed) == 10);
}

TEST(without_a_key_nothing_leaves_and_plain_text_does_not_enter) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  ConnectSealed(a, b);
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  while (a.drops(DropReason::sealed_no_key) == 0) usleep(100);
  a.plane->RemoveVtep(1);
  a.plane->AddVtep(kVni, 2, b.address("127.0.0.2"), Encapsulation::kVxlan, &a.vtep_stats);
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  while (b.drops(DropReason::vxlan_not_sealed) == 0) usleep(100);
  CHECK(b.plane->SnapshotFdb(kVni).empty() && b.port_stats.tx_frames == 0);
}

TEST(an_exhausted_key_seals_nothing_more) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  ConnectSealed(a, b);
  const auto key = SealingKey(1);
  b.plane->AddReceiveKey(PeerKey("127.0.0.1"), CipherKind::kAes256Gcm, key, 1);
  a.plane->SetSendKey(PeerKey("127.0.0.2"), CipherKind::kAes256Gcm, key, 1,
                      ReplayWindow::kMaxCounter);
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  b.Receive();
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  while (a.drops(DropReason::sealed_key_exhausted) == 0) usleep(100);
}

// Every malformed datagram is counted once, under its own name, and nothing else moves.
TEST(broken_datagrams_are_counted) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  Connect(a, b);
  b.plane->Pin(kVni, 0x020000000005, 1);
  const int raw = socket(AF_INET, SOCK_DGRAM, 0);
  const SocketAddress from = Loopback("127.0.0.1", 0);
  CHECK(bind(raw, from.get(), from.size) == 0);
  const SocketAddress to = b.address("127.0.0.2");
  const auto expect = [&](DropReason reason, const Bytes& datagram) {
    const uint64_t before = b.drops(reason);
    CHECK(sendto(raw, datagram.data(), datagram.size(), 0, to.get(), to.size) >= 0);
    // A good datagram behind it shows when the bad one was dealt with.
    a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
    b.Receive();
    CHECK(b.drops(reason) == before + 1);
  };
  const auto wrap = [&](uint32_t vni, const FrameSpec& spec, uint32_t cut = 0) {
    Bytes datagram = Wrap(vni, MakeFrame(spec));
    if (cut > 0) datagram.resize(cut);
    return datagram;
  };
  FrameSpec group;
  group.source = 0x030000000001;
  FrameSpec local;
  local.source = 0x020000000005;
  FrameSpec big;
  big.payload_bytes = 1500;
  Bytes unflagged = wrap(kVni, FrameSpec{});
  unflagged[0] = 0;
  expect(DropReason::vxlan_short, {});
  expect(DropReason::vxlan_short, {8, 0, 0});
  expect(DropReason::vxlan_flags, unflagged);
  expect(DropReason::vxlan_vni_unknown, wrap(kVni + 1, FrameSpec{}));
  expect(DropReason::vxlan_frame_short, wrap(kVni, FrameSpec{}, 21));
  expect(DropReason::vxlan_frame_long, wrap(kVni, big));
  expect(DropReason::vxlan_source_invalid, wrap(kVni, group));
  expect(DropReason::vxlan_source_local, wrap(kVni, local));
  uint64_t drops = 0;
  for (const uint64_t count : b.stats.drops) drops += count;
  CHECK(drops == 8);
  close(raw);
}

TEST(frames_from_a_port_are_checked) {
  Host a("127.0.0.1");
  const auto expect = [&](DropReason reason, const VnetHeader& vnet, const Bytes& frame) {
    a.Send(vnet, frame);
    while (a.drops(reason) == 0) usleep(100);
  };
  VnetHeader forged = OffloadHeader(FrameSpec{}, 10);
  forged.gso_type = kGsoTcp6;
  FrameSpec group;
  group.source = 0x030000000001;
  FrameSpec big;
  big.payload_bytes = 1500;
  expect(DropReason::port_frame_short, VnetHeader{}, Bytes(13));
  expect(DropReason::port_offload_invalid, forged, MakeFrame(FrameSpec{}));
  expect(DropReason::port_source_invalid, VnetHeader{}, MakeFrame(group));
  expect(DropReason::port_frame_long, VnetHeader{}, MakeFrame(big));
  expect(DropReason::port_no_destination, VnetHeader{}, MakeFrame(FrameSpec{}));
  FrameSpec hairpin;
  hairpin.destination = hairpin.source;
  expect(DropReason::port_hairpin, VnetHeader{}, MakeFrame(hairpin));
}

TEST(a_removed_network_leaves_nothing_behind) {
  Host a("127.0.0.1");
  Host b("127.0.0.2");
  Connect(a, b);
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  b.Receive();
  b.plane->RemoveNetwork(kVni);
  a.Send(VnetHeader{}, MakeFrame(FrameSpec{}));
  while (b.drops(DropReason::vxlan_vni_unknown) == 0) usleep(100);
}

}  // namespace
}  // namespace weft::test
