// From the underlay to the ports.
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "ecn.hpp"
#include "forwarder.hpp"
#include "relay.hpp"
#include "sealed.hpp"
#include "transport-checksum.hpp"
#include "unsealed.hpp"
#include "vxlan.hpp"

namespace weft {
namespace {

// First bytes of datagrams on the mesh port that belong to the control plane, as
// src/dataplane/mesh-kind.ts has them.
constexpr bool IsControl(uint8_t kind) {
  return (kind >= 0x01 && kind <= 0x1f) || (kind >= 0x40 && kind <= 0x6f);
}

// What the kernel says beside a message.
struct Beside {
  // Size of the datagrams that it joined; 0 if it is a single one.
  uint32_t joined = 0;
  // Of the outer header. The kernel joins nothing that differs in it.
  uint8_t tos = 0;
};

Beside ReadBeside(msghdr& header) {
  Beside beside;
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    int value = 0;
    if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
      std::memcpy(&value, CMSG_DATA(at), sizeof value);
      beside.joined = static_cast<uint32_t>(value);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      beside.tos = *CMSG_DATA(at);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
      std::memcpy(&value, CMSG_DATA(at), sizeof value);
      beside.tos = static_cast<uint8_t>(value);
    }
  }
  return beside;
}

// The same address and UDP port. Several hosts may share an address behind a NAT.
bool IsSameSocket(const sockaddr_storage& a, const sockaddr_storage& b) {
  // sin_port and sin6_port lie at the same offset.
  return KeyOf(a) == KeyOf(b) && reinterpret_cast<const sockaddr_in*>(&a)->sin_port ==
                                     reinterpret_cast<const sockaddr_in*>(&b)->sin_port;
}

// Whether a frame's transport checksum was left unfinished by a sender that says nothing of it.
bool LooksPartial(std::span<const uint8_t> frame) {
  const Layers layers = ParseFrame(frame);
  return layers.has_ports() && IsTransportChecksumPartial(frame.data(), layers);
}

// Whether a frame above the MTU is a TCP super-frame. A virtual underlay (veth) hands those of a
// kernel VXLAN device or a fast path over whole: the kernel takes a UDP socket for a tunnel that
// copes.
bool IsSuperFrame(const Layers& layers, InnerChecksum checksum) {
  return checksum == InnerChecksum::kPartial && layers.kind == FrameKind::kTcp;
}

// TCP payload of the longest frame with these headers. What the sender had in mind was in the
// kernel's metadata, and TCP does not mind another cut.
uint32_t SegmentPayload(const Layers& layers, uint32_t mtu) {
  return mtu - (uint32_t{layers.payload} - layers.l3);
}

}  // namespace

const Forwarder::InnerReasons Forwarder::kVxlanReasons = {DropReason::vxlan_frame_short,
                                                          DropReason::vxlan_frame_long,
                                                          DropReason::vxlan_source_invalid,
                                                          DropReason::vxlan_source_local,
                                                          DropReason::vxlan_source_spoofed,
                                                          DropReason::vxlan_gateway,
                                                          DropReason::vxlan_ecn,
                                                          DropReason::vxlan_no_port};

const Forwarder::InnerReasons Forwarder::kSealedReasons = {DropReason::sealed_frame_short,
                                                           DropReason::sealed_frame_long,
                                                           DropReason::sealed_source_invalid,
                                                           DropReason::sealed_source_local,
                                                           DropReason::sealed_source_spoofed,
                                                           DropReason::sealed_gateway,
                                                           DropReason::sealed_ecn,
                                                           DropReason::sealed_no_port};

void Forwarder::Receive(const Receiver& receiver) {
  for (uint32_t i = 0; i < kReceiveBatch; i++) {
    messages_[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    messages_[i].msg_hdr.msg_controllen = sizeof(Control);
  }
  const int count = recvmmsg(receiver.fd, messages_.data(), kReceiveBatch, MSG_DONTWAIT, nullptr);
  if (count <= 0) return;
  // Whoever sent these may have changed the tables first: they must be at least as new.
  Enter();
  wakes_control_ = false;
  for (uint32_t i = 0; i < static_cast<uint32_t>(count); i++) ReceiveMessage(receiver, i);
  coalescer_.Flush();
  if (!relay_queue_.is_empty()) SendRelayed();
  Leave();
  if (wakes_control_) waker_.Wake();
}

void Forwarder::ReceiveMessage(const Receiver& receiver, uint32_t index) {
  uint8_t* at = datagrams_.get() + size_t{index} * kDatagramBytes;
  const uint32_t size = messages_[index].msg_len;
  const auto [joined, tos] = ReadBeside(messages_[index].msg_hdr);
  const uint32_t step = joined == 0 ? std::max(size, 1U) : joined;
  outer_tos_ = tos;
  Sender sender;
  sender.key = KeyOf(senders_[index]);
  // An empty datagram is a datagram.
  for (uint32_t offset = 0; offset == 0 || offset < size; offset += step) {
    const std::span datagram(at + offset, std::min(step, size - offset));
    switch (receiver.kind) {
      case Receiver::Kind::kMesh:
        ReceiveMesh(datagram, sender, index);
        break;
      case Receiver::Kind::kVxlan:
        ReceiveVxlan(datagram, sender);
        break;
      case Receiver::Kind::kSender:
        stats_.CountDrop(DropReason::underlay_unasked);
    }
  }
}

void Forwarder::ReceiveMesh(std::span<uint8_t> datagram, Sender& sender, uint32_t index) {
  if (datagram.empty()) return stats_.CountDrop(DropReason::mesh_unknown);
  const uint8_t kind = datagram[0];
  if (sealed::IsSealed(kind)) return ReceiveSealed(datagram, sender);
  if (unsealed::IsUnsealed(kind)) return ReceiveUnsealed(datagram, sender, index);
  if (IsControl(kind)) return ReceiveControl(datagram, index);
  if (relay::IsRelayed(kind)) return ReceiveRelayed(datagram, senders_[index]);
  stats_.CountDrop(DropReason::mesh_unknown);
}

void Forwarder::ReceiveControl(std::span<const uint8_t> datagram, uint32_t index) {
  SocketAddress from;
  from.storage = senders_[index];
  const auto control = relay::WithoutHeader(datagram);
  if (handshake::IsHandshake(control[0])) {
    const auto refusal =
        handshakes_.Refuse(control, KeyOf(from.storage), tables_.handshake_keys(), now_);
    if (refusal.has_value()) return stats_.CountDrop(*refusal);
  } else if (!envelopes_.Admits(control, tables_.envelope_keys(), now_)) {
    return stats_.CountDrop(DropReason::mesh_envelope_shed);
  }
  if (!control_.Push(datagram, from)) return stats_.CountDrop(DropReason::mesh_queue_full);
  wakes_control_ = true;
}

// Passes a datagram on to where its tag says, from where it lies: SendRelayed joins those that
// follow each other again.
void Forwarder::ReceiveRelayed(std::span<uint8_t> datagram, const sockaddr_storage& from) {
  if (!tables_.IsRelayPeer(KeyOf(from))) return stats_.CountDrop(DropReason::relay_stranger);
  if (!relay::IsWellFormed(datagram)) return stats_.CountDrop(DropReason::relay_malformed);
  RelayRoute* route = tables_.FindRoute(LoadBe64(&datagram[relay::kTagAt]));
  if (route == nullptr) return stats_.CountDrop(DropReason::relay_unknown);
  if (IsSameSocket(route->to.storage, from)) return stats_.CountDrop(DropReason::relay_loop);
  if (route->is_last) {
    datagram = datagram.subspan(relay::kHeaderBytes);
  } else {
    uint8_t& hop_limit = datagram[relay::kHopLimitAt];
    if (hop_limit <= 1) return stats_.CountDrop(DropReason::relay_hop_limit);
    hop_limit--;
  }
  const Bind* bound = sockets_.ForFamily(route->to.is_ipv6());
  if (bound == nullptr) return stats_.CountDrop(DropReason::underlay_send_failed);
  if (!relay_queue_.has_room(1)) SendRelayed();
  relay_queue_.Add({route, route->to, &route->is_plain, nullptr, nullptr, outer_tos_},
                   bound->mesh[thread_].get(), datagram, {},
                   static_cast<uint32_t>(datagram.size()));
}

// A relay can't hold its neighbours back: what the socket does not take is lost, as in any router.
void Forwarder::SendRelayed() {
  if (relay_queue_.Send() == SendQueue::Outcome::kBlocked) relay_queue_.Abandon();
}

void Forwarder::ReceiveSealed(std::span<uint8_t> datagram, Sender& sender) {
  if (datagram.size() < sealed::kOverheadBytes) return stats_.CountDrop(DropReason::sealed_short);
  if (!FindSession(LoadBe32(&datagram[sealed::kIndexAt]), sender)) {
    return stats_.CountDrop(DropReason::sealed_session_unknown);
  }
  switch (sender.session->Open(datagram)) {
    case ReceiveSession::Opened::kReplayed:
      return stats_.CountDrop(DropReason::sealed_replayed);
    case ReceiveSession::Opened::kForged:
      return stats_.CountDrop(DropReason::sealed_forged);
    case ReceiveSession::Opened::kOk:
      break;
  }
  const bool is_partial = (datagram[sealed::kKindAt] & sealed::kFlagPartial) != 0;
  const size_t frame_bytes = datagram.size() - sealed::kOverheadBytes;
  DeliverFromPeer(sender, LoadBe24(&datagram[sealed::kVniAt]),
                  datagram.subspan(sealed::kHeaderBytes, frame_bytes),
                  is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole);
}

// Only from where it was agreed on with the peer that the index belongs to.
void Forwarder::ReceiveUnsealed(std::span<uint8_t> datagram, Sender& sender, uint32_t index) {
  if (datagram.size() < unsealed::kHeaderBytes) {
    return stats_.CountDrop(DropReason::unsealed_short);
  }
  if (!FindSession(LoadBe32(&datagram[unsealed::kIndexAt]), sender)) {
    return stats_.CountDrop(DropReason::unsealed_unknown);
  }
  if (!sender.session->unsealed->Has(senders_[index])) {
    return stats_.CountDrop(DropReason::unsealed_not_agreed);
  }
  const bool is_partial = (datagram[unsealed::kKindAt] & unsealed::kFlagPartial) != 0;
  DeliverFromPeer(sender, LoadBe24(&datagram[unsealed::kVniAt]),
                  datagram.subspan(unsealed::kHeaderBytes),
                  is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole);
}

// Fills in the session of that index and its peer. False if there is none.
bool Forwarder::FindSession(uint32_t index, Sender& sender) {
  if (sender.session != nullptr && sender.session->index == index) return true;
  sender = Sender{};
  sender.session = tables_.FindSession(index);
  if (sender.session == nullptr) return false;
  sender.key = sender.session->peer;
  return true;
}

void Forwarder::DeliverFromPeer(Sender& sender, uint32_t vni, std::span<uint8_t> frame,
                                InnerChecksum checksum) {
  TrafficStats& peer = sender.session->stats[thread_];
  peer.CountRx(1, frame.size());
  Store(&peer.last_rx_ms, now_);
  if (!FindSender(vni, sender)) {
    return stats_.CountDrop(sender.network == nullptr ? DropReason::sealed_vni_unknown
                                                      : DropReason::sealed_vtep_unknown);
  }
  Deliver(sender, frame, checksum, kSealedReasons);
}

void Forwarder::ReceiveVxlan(std::span<uint8_t> datagram, Sender& sender) {
  if (datagram.size() < vxlan::kHeaderBytes) return stats_.CountDrop(DropReason::vxlan_short);
  if ((datagram[vxlan::kFlagsAt] & vxlan::kFlagI) == 0) {
    return stats_.CountDrop(DropReason::vxlan_flags);
  }
  if (!FindSender(LoadBe24(&datagram[vxlan::kVniAt]), sender)) {
    return stats_.CountDrop(sender.network == nullptr ? DropReason::vxlan_vni_unknown
                                                      : DropReason::vxlan_vtep_unknown);
  }
  // Whoever can forge an address could otherwise write into a sealed network.
  if (sender.vtep->encapsulation == Encapsulation::kSealed) {
    return stats_.CountDrop(DropReason::vxlan_not_sealed);
  }
  const auto frame = datagram.subspan(vxlan::kHeaderBytes);
  const bool says_partial =
      sender.vtep->takes_partial && (datagram[vxlan::kPartialAt] & vxlan::kFlagPartial) != 0;
  const bool is_partial = says_partial || LooksPartial(frame);
  Deliver(sender, frame, is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole,
          kVxlanReasons);
}

// Fills in network and VTEP. False if either is unknown.
bool Forwarder::FindSender(uint32_t vni, Sender& sender) {
  if (sender.network == nullptr || sender.network->vni != vni) {
    sender = Sender{sender.key, sender.session};
    sender.network = tables_.FindNetwork(vni);
    if (sender.network != nullptr) sender.vtep = tables_.FindVtep(*sender.network, sender.key);
  }
  return sender.vtep != nullptr;
}

void Forwarder::Deliver(Sender& sender, std::span<uint8_t> frame, InnerChecksum checksum,
                        const InnerReasons& reasons) {
  Network& network = *sender.network;
  if (frame.size() < kEthernetBytes) return stats_.CountDrop(reasons.frame_short);
  uint32_t frames = 1;
  uint64_t bytes = frame.size();
  if (frame.size() > MaxFrameBytes(frame.data(), network.mtu)) {
    const Layers layers = ParseFrame(frame);
    if (&reasons != &kVxlanReasons || !IsSuperFrame(layers, checksum)) {
      return stats_.CountDrop(reasons.frame_long);
    }
    const uint32_t segment = SegmentPayload(layers, network.mtu);
    frames = (layers.end - layers.payload + segment - 1) / segment;
    bytes += uint64_t{frames - 1} * layers.payload;
  }
  const Mac source = LoadBe48(&frame[ethernet::kSource]);
  const Mac destination = LoadBe48(&frame[ethernet::kDestination]);
  if (source != sender.source && !IsValidSource(source)) {
    return stats_.CountDrop(reasons.source_invalid);
  }
  if (network.gateway.Concerns(frame)) {
    sender.vtep->stats[thread_].CountRx(frames, bytes);
    return stats_.CountDrop(reasons.gateway, frames);
  }
  if (source != sender.source) {
    if (Learn(network, source, sender.vtep->place()) == Fdb::Learned::kPinnedElsewhere) {
      const bool is_spoofed = IsVtepPlace(network.fdb.PinnedAt(source));
      return stats_.CountDrop(is_spoofed ? reasons.source_spoofed : reasons.source_local);
    }
    sender.source = source;
    sender.destination = kNoMac;
  }
  sender.vtep->stats[thread_].CountRx(frames, bytes);
  if (ecn::Concerns(outer_tos_) && !ecn::Combine(frame, outer_tos_)) {
    return stats_.CountDrop(reasons.ecn, frames);
  }
  if (destination != sender.destination) {
    sender.place = IsGroup(destination) ? kNowhere : network.fdb.Lookup(destination, now_);
    sender.destination = destination;
  }
  if (sender.place == kNowhere) return Flood(network, frame, checksum, reasons);
  if (IsVtepPlace(sender.place)) return stats_.CountDrop(reasons.no_port);
  DeliverTo(*PortAt(sender.place), frame, checksum);
}

void Forwarder::Flood(Network& network, std::span<uint8_t> frame, InnerChecksum checksum,
                      const InnerReasons& reasons) {
  Port* port = network.ports;
  if (port == nullptr) return stats_.CountDrop(reasons.no_port);
  if (port->next == nullptr) return DeliverTo(*port, frame, checksum);
  if (frame.size() > MaxFrameBytes(frame.data(), network.mtu)) {
    for (; port != nullptr; port = port->next) DeliverSuperFrame(*port, frame);
    return;
  }
  // The coalescer rewrites headers, so a frame for several ports is written whole to each.
  if (checksum == InnerChecksum::kPartial) CompleteTransportChecksum(frame);
  for (; port != nullptr; port = port->next) {
    coalescer_.PushAlone(*port, frame, InnerChecksum::kWhole);
  }
}

void Forwarder::DeliverTo(Port& port, std::span<uint8_t> frame, InnerChecksum checksum) {
  if (frame.size() > MaxFrameBytes(frame.data(), port.network->mtu)) {
    return DeliverSuperFrame(port, frame);
  }
  if (port.vnet_bytes > 0) return coalescer_.Push(port, frame, checksum);
  if (checksum == InnerChecksum::kPartial) CompleteTransportChecksum(frame);
  iovec pieces[2] = {{}, {frame.data(), frame.size()}};
  WriteFrame(port, VnetHeader{}, pieces, 1, frame.size());
}

void Forwarder::DeliverSuperFrame(Port& port, std::span<uint8_t> frame) {
  const Layers layers = ParseFrame(frame);
  VnetHeader vnet;
  vnet.flags = kVnetNeedsChecksum;
  vnet.gso_type = layers.is_ipv6 ? kGsoTcp6 : kGsoTcp4;
  vnet.header_bytes = layers.payload;
  vnet.gso_size = static_cast<uint16_t>(SegmentPayload(layers, port.network->mtu));
  vnet.checksum_start = layers.l4;
  vnet.checksum_offset = layers.checksum_offset();
  SegmentPlan plan;
  if (PlanSegments(vnet, frame, port.network->mtu, plan) != PlanResult::kOk) {
    return stats_.CountDrop(DropReason::vxlan_frame_long);
  }
  // What came before it goes before it.
  coalescer_.Flush();
  WriteLocal(port, vnet, plan);
}

void Forwarder::WriteFrame(Port& port, const VnetHeader& vnet, std::span<iovec> pieces,
                           uint32_t frames, uint64_t bytes) {
  pieces[0] = {const_cast<VnetHeader*>(&vnet), port.vnet_bytes};
  if (port.is_gone || writev(port.queues[thread_ % port.queue_count].fd, pieces.data(),
                             static_cast<int>(pieces.size())) < 0) {
    return stats_.CountDrop(DropReason::port_write_failed, frames);
  }
  port.stats[thread_].CountTx(frames, bytes);
}

}  // namespace weft
