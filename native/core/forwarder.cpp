#include "forwarder.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

#include "monotonic.hpp"
#include "sealed.hpp"

namespace weft {
namespace {

constexpr int kMaxEvents = 32;
constexpr int kForever = -1;

void Watch(int set, int fd, const void* data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = const_cast<void*>(data);
  [[maybe_unused]] const int result = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  assert(result == 0);
}

void Unwatch(int set, int fd) { epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace

Forwarder::Forwarder(ForwarderGroup& group, uint32_t thread, const Sockets& sockets,
                     GlobalStats& stats, ControlWaker& waker, bool joins_udp,
                     uint32_t fdb_max_age_ms, uint64_t hash_key)
    : group_(group),
      thread_(thread),
      sockets_(sockets),
      stats_(stats),
      waker_(waker),
      tables_(group.tables),
      coalescer_(*this, joins_udp),
      queue_(stats, thread),
      relay_queue_(stats, thread),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      events_(epoll_create1(EPOLL_CLOEXEC)),
      port_events_(epoll_create1(EPOLL_CLOEXEC)),
      handshakes_(hash_key),
      sweep_ms_(std::clamp<uint64_t>(fdb_max_age_ms / 4, kMinSweepMs, kMaxSweepMs)),
      arena_(new uint8_t[kReadArenaBytes]),
      scratch_(new uint8_t[kScratchBytes]),
      flooded_(new uint8_t[kReadBytes]),
      datagrams_(new uint8_t[size_t{kReceiveBatch} * kDatagramBytes]) {
  assert(wake_.is_open() && events_.is_open() && port_events_.is_open());
  for (const Bind& bound : sockets.binds()) {
    receivers_[receiver_count_++] = {bound.mesh[thread].get(), Receiver::Kind::kMesh};
    receivers_[receiver_count_++] = {bound.vxlan[thread].get(), Receiver::Kind::kVxlan};
    if (thread > 0) continue;
    for (const OwnedFd& sender : bound.senders) {
      receivers_[receiver_count_++] = {sender.get(), Receiver::Kind::kSender};
    }
  }
  OpenEventSets();
}

void Forwarder::OpenEventSets() {
  Watch(events_.get(), wake_.get(), &wake_);
  Watch(events_.get(), port_events_.get(), &port_events_);
  for (uint32_t i = 0; i < receiver_count_; i++) {
    Watch(events_.get(), receivers_[i].fd, &receivers_[i]);
  }
  for (uint32_t i = 0; i < kReceiveBatch; i++) {
    message_iovs_[i] = {datagrams_.get() + size_t{i} * kDatagramBytes, kDatagramBytes};
    messages_[i].msg_hdr.msg_name = &senders_[i];
    messages_[i].msg_hdr.msg_iov = &message_iovs_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_control = &controls_[i];
  }
}

void ForwarderGroup::Submit(const Command& command) {
  commands.Push(command);
  forwarders[0]->Wake();
}

void ForwarderGroup::Call(const Command& command) {
  const uint64_t number = commands.Push(command);
  forwarders[0]->Wake();
  commands.WaitFor(number);
}

void Forwarder::Run() {
  while (is_running_.load(std::memory_order_acquire)) Turn();
}

void Forwarder::Stop() {
  is_running_.store(false, std::memory_order_release);
  Wake();
}

void Forwarder::Wake() { eventfd_write(wake_.get(), 1); }

void Forwarder::Turn() {
  std::array<epoll_event, kMaxEvents> events;
  const int count = epoll_wait(events_.get(), events.data(), kMaxEvents, WaitTime());
  now_ = MonotonicMs();
  bool has_ports = false;
  for (int i = 0; i < count; i++) {
    const void* source = events[static_cast<size_t>(i)].data.ptr;
    if (source == &wake_) {
      eventfd_t ignored;
      eventfd_read(wake_.get(), &ignored);
    } else if (source == &port_events_) {
      has_ports = true;
    } else {
      Receive(*static_cast<const Receiver*>(source));
    }
  }
  Enter();
  if (is_blocked_) RetryBlocked();
  if (has_ports && !is_blocked_) ReadPorts();
  if (thread_ == 0 && now_ >= next_sweep_) Sweep();
  Leave();
}

int Forwarder::WaitTime() const {
  if (is_blocked_) return kBlockedRetryMs;
  if (thread_ > 0) return kForever;
  return next_sweep_ > now_ ? static_cast<int>(next_sweep_ - now_) : 0;
}

// Before tables are looked at. They then are as new as the last command given until now: whoever
// changes a table and then sends a datagram finds the table changed.
void Forwarder::Enter() {
  if (thread_ == 0) return ApplyCommands();
  if (const uint64_t next = group_.commands.next_number(); next > 0) {
    group_.commands.WaitFor(next - 1);
  }
  group_.gate.Enter(thread_);
}

void Forwarder::Leave() {
  if (thread_ > 0) group_.gate.Leave(thread_);
}

void Forwarder::ApplyCommands() {
  if (!group_.commands.has_pending()) return;
  group_.gate.Shut();
  group_.commands.Drain([this](const Command& command) { Apply(command); });
  group_.gate.Open();
}

void Forwarder::Apply(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kAddNetwork:
      return tables_.AddNetwork(*command.network);
    case Command::Kind::kSetSendMtu:
      command.network->send_mtu = command.mtu;
      return;
    case Command::Kind::kRemoveNetwork:
      return tables_.RemoveNetwork(*command.network);
    case Command::Kind::kAddPort:
      return AddPort(*command.port);
    case Command::Kind::kRemovePort:
      return RemovePort(*command.port);
    case Command::Kind::kPin:
      command.network->fdb.Pin(command.mac, command.port->place());
      return;
    case Command::Kind::kUnpin:
      return Unpin(*command.network, command.mac);
    case Command::Kind::kSetGateway:
      command.network->gateway = command.gateway;
      return;
    case Command::Kind::kUpdateEndpoints:
      for (const EndpointUpdate& update : command.updates) UpdateEndpoint(*command.network, update);
      return;
    case Command::Kind::kAddSession:
      return tables_.AddSession(*command.session);
    case Command::Kind::kRemoveSession:
      return tables_.RemoveSession(*command.session);
    case Command::Kind::kSetSendKey:
      command.send_session->key = command.send_key;
      return;
    case Command::Kind::kSetPath:
      command.send_session->path = *command.path;
      command.send_session->is_plain = false;
      return;
    case Command::Kind::kSetUnsealedSources:
      *command.unsealed = *command.sources;
      return;
    case Command::Kind::kAddRoute:
    case Command::Kind::kMoveRoute:
    case Command::Kind::kRemoveRoute:
    case Command::Kind::kSetRelayPeers:
      return ApplyRelay(command);
    case Command::Kind::kSetHandshakeKeys:
      return tables_.SetHandshakeKeys(command.handshake_keys);
    case Command::Kind::kSetEnvelopeKeys:
      return tables_.SetEnvelopeKeys(command.envelope_keys);
    case Command::Kind::kSnapshotFdb:
      return Snapshot(*command.network, now_, *command.snapshot);
    case Command::Kind::kFence:
      return;
    default:
      return ApplyVtep(command);
  }
}

void Forwarder::ApplyVtep(const Command& command) {
  Vtep& vtep = *command.vtep;
  switch (command.kind) {
    case Command::Kind::kAddVtep:
      return tables_.AddVtep(vtep);
    case Command::Kind::kMoveVtep:
      vtep.address = command.address;
      return;
    case Command::Kind::kConfigureVtep:
      vtep.takes_partial = command.takes_partial;
      return;
    case Command::Kind::kFloodVtep:
      return tables_.FloodVtep(vtep, command.floods);
    default:
      assert(command.kind == Command::Kind::kRemoveVtep);
      // What waits for a full socket refers to VTEPs.
      for (const auto& each : group_.forwarders) {
        if (each->queue_.HasAnyOf(&vtep)) each->queue_.Abandon();
      }
      Flush(*vtep.network, vtep.place());
      tables_.RemoveVtep(vtep);
  }
}

// What is relayed never waits from one batch to the next, so nothing refers to routes here.
void Forwarder::ApplyRelay(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kAddRoute:
      return tables_.AddRoute(*command.route);
    case Command::Kind::kMoveRoute:
      command.route->to = command.address;
      command.route->is_last = command.is_last;
      command.route->is_plain = false;
      return;
    case Command::Kind::kRemoveRoute:
      return tables_.RemoveRoute(*command.route);
    default:
      assert(command.kind == Command::Kind::kSetRelayPeers);
      tables_.SetRelayPeers(command.relay_peers);
  }
}

void Forwarder::AddPort(Port& port) {
  tables_.AddPort(port);
  for (uint32_t i = 0; i < port.queue_count; i++) {
    Watch(PortEventsOf(i), port.queues[i].fd, &port.queues[i]);
  }
}

void Forwarder::RemovePort(Port& port) {
  StopReading(port);
  Flush(*port.network, port.place());
  tables_.RemovePort(port);
}

void Forwarder::StopReading(Port& port) {
  if (port.is_gone.exchange(true)) return;
  for (uint32_t i = 0; i < port.queue_count; i++) {
    Unwatch(PortEventsOf(i), port.queues[i].fd);
  }
}

// Of the forwarder that reads a device's queue of that number.
int Forwarder::PortEventsOf(uint32_t queue) const {
  return group_.forwarders[queue % group_.forwarders.size()]->port_events_.get();
}

void Forwarder::Flush(Network& network, Place place) {
  Count(&stats_.fdb_flushed, network.fdb.Flush(place));
}

// A MAC of this host.
void Forwarder::Unpin(Network& network, Mac mac) {
  if (!IsVtepPlace(network.fdb.PinnedAt(mac))) network.fdb.Unpin(mac);
}

// A MAC that an endpoint of this host has stays this host's.
void Forwarder::UpdateEndpoint(Network& network, const EndpointUpdate& update) {
  const Place pinned = network.fdb.PinnedAt(update.mac);
  if (update.vtep == nullptr) {
    if (IsVtepPlace(pinned)) network.fdb.Unpin(update.mac);
    if (update.has_address) network.neighbours.Remove(update.address, update.mac);
    return;
  }
  if (pinned == kNowhere || IsVtepPlace(pinned)) {
    network.fdb.Pin(update.mac, update.vtep->place());
  }
  if (update.has_address) network.neighbours.Set(update.address, update.mac);
}

void Forwarder::Snapshot(const Network& network, uint64_t now, FdbSnapshot& snapshot) {
  snapshot.count = 0;
  network.fdb.ForEach(now, [&](Mac mac, Place place, bool is_pinned, uint64_t age) {
    const uint32_t at = snapshot.count++;
    if (at >= snapshot.capacity) return;
    const bool is_vtep = IsVtepPlace(place);
    const uint32_t id = is_vtep ? VtepAt(place)->id : PortAt(place)->id;
    snapshot.rows[at] = {mac, age, id, is_vtep, is_pinned};
  });
}

void Forwarder::Sweep() {
  tables_.ForEachNetwork(
      [this](Network& network) { Count(&stats_.fdb_aged, network.fdb.Sweep(now_, kSweepLimit)); });
  next_sweep_ = now_ + sweep_ms_;
}

Fdb::Learned Forwarder::Learn(Network& network, Mac mac, Place place) {
  Fdb::Counters left;
  const Fdb::Learned learned = network.fdb.Learn(mac, place, now_, left);
  if (learned == Fdb::Learned::kMoved) Count(&stats_.fdb_moved);
  if (learned == Fdb::Learned::kNew) {
    Count(&stats_.fdb_learned);
    Count(&stats_.fdb_aged, left.aged);
    Count(&stats_.fdb_evicted, left.evicted);
  }
  return learned;
}

}  // namespace weft
