// From the underlay to the ports.
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "forwarder.hpp"
#include "sealed.hpp"
#include "transport-checksum.hpp"
#include "vxlan.hpp"

namespace weft {
namespace {

// First bytes of datagrams on the mesh port that belong to the control plane.
constexpr uint8_t kFirstControlKind = 0x01;
constexpr uint8_t kLastControlKind = 0x1f;

// Size of the datagrams that the kernel joined into this message; 0 if it is a single one.
uint32_t SegmentBytes(msghdr& header) {
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
      int size;
      std::memcpy(&size, CMSG_DATA(at), sizeof size);
      return static_cast<uint32_t>(size);
    }
  }
  return 0;
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

const Forwarder::InnerReasons Forwarder::kVxlanReasons = {
    DropReason::vxlan_frame_short,    DropReason::vxlan_frame_long,
    DropReason::vxlan_source_invalid, DropReason::vxlan_source_local,
    DropReason::vxlan_source_spoofed, DropReason::vxlan_gateway,
    DropReason::vxlan_no_port};

const Forwarder::InnerReasons Forwarder::kSealedReasons = {
    DropReason::sealed_frame_short,    DropReason::sealed_frame_long,
    DropReason::sealed_source_invalid, DropReason::sealed_source_local,
    DropReason::sealed_source_spoofed, DropReason::sealed_gateway,
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
  Leave();
  if (wakes_control_) waker_.Wake();
}

void Forwarder::ReceiveMessage(const Receiver& receiver, uint32_t index) {
  uint8_t* at = datagrams_.get() + size_t{index} * kDatagramBytes;
  const uint32_t size = messages_[index].msg_len;
  const uint32_t joined = SegmentBytes(messages_[index].msg_hdr);
  const uint32_t step = joined == 0 ? std::max(size, 1U) : joined;
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
  if (kind >= kFirstControlKind && kind <= kLastControlKind) return ReceiveControl(datagram, index);
  stats_.CountDrop(DropReason::mesh_unknown);
}

void Forwarder::ReceiveControl(std::span<const uint8_t> datagram, uint32_t index) {
  SocketAddress from;
  from.storage = senders_[index];
  if (!control_.Push(datagram, from)) return stats_.CountDrop(DropReason::mesh_queue_full);
  wakes_control_ = true;
}

void Forwarder::ReceiveSealed(std::span<uint8_t> datagram, Sender& sender) {
  if (datagram.size() < sealed::kOverheadBytes) return stats_.CountDrop(DropReason::sealed_short);
  const uint32_t index = LoadBe32(&datagram[sealed::kIndexAt]);
  if (sender.session == nullptr || sender.session->index != index) {
    sender = Sender{};
    sender.session = tables_.FindSession(index);
    if (sender.session == nullptr) {
      return stats_.CountDrop(DropReason::sealed_session_unknown);
    }
    sender.key = sender.session->peer;
  }
  switch (sender.session->Open(datagram)) {
    case ReceiveSession::Opened::kReplayed:
      return stats_.CountDrop(DropReason::sealed_replayed);
    case ReceiveSession::Opened::kForged:
      return stats_.CountDrop(DropReason::sealed_forged);
    case ReceiveSession::Opened::kOk:
      break;
  }
  if (!FindSender(LoadBe24(&datagram[sealed::kVniAt]), sender)) {
    return stats_.CountDrop(sender.network == nullptr ? DropReason::sealed_vni_unknown
                                                      : DropReason::sealed_vtep_unknown);
  }
  const bool is_partial = (datagram[sealed::kKindAt] & sealed::kFlagPartial) != 0;
  const size_t frame_bytes = datagram.size() - sealed::kOverheadBytes;
  Deliver(sender, datagram.subspan(sealed::kHeaderBytes, frame_bytes),
          is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole, kSealedReasons);
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
