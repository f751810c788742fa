#include "data-plane.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>

#include "monotonic.hpp"

namespace weft {
namespace {

// A thread that takes no signal: they are the event loop's.
std::thread StartThread(Forwarder& forwarder) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([&forwarder] {
    pthread_setname_np(pthread_self(), "weft-forwarder");
    forwarder.Run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

DataPlane::DataPlane(const DataPlaneOptions& options, GlobalStats& stats)
    : fdb_capacity_(options.fdb_capacity),
      fdb_max_age_ms_(options.fdb_max_age_ms),
      hash_key_(options.hash_key),
      unknown_unicast_rate_(options.unknown_unicast_rate),
      thread_count_(options.threads),
      stats_(stats),
      group_(options.threads) {}

std::unique_ptr<DataPlane> DataPlane::Open(const DataPlaneOptions& options, GlobalStats& stats,
                                           ControlWaker& waker, Sockets::Failure& failure) {
  std::unique_ptr<DataPlane> plane(new DataPlane(options, stats));
  failure = plane->sockets_.Open(options.addresses, options.mesh_port, options.vxlan_port,
                                 options.threads);
  if (failure.error != 0) return nullptr;
  auto& forwarders = plane->group_.forwarders;
  for (uint32_t thread = 0; thread < options.threads; thread++) {
    forwarders.push_back(std::make_unique<Forwarder>(plane->group_, thread, plane->sockets_,
                                                     (&stats)[thread], waker, options.joins_udp,
                                                     options.fdb_max_age_ms, options.hash_key));
  }
  for (const auto& forwarder : forwarders) plane->threads_.push_back(StartThread(*forwarder));
  return plane;
}

DataPlane::~DataPlane() {
  for (size_t thread = threads_.size(); thread-- > 0;) {
    group_.forwarders[thread]->Stop();
    threads_[thread].join();
  }
}

Command DataPlane::Make(Command::Kind kind) const {
  Command command;
  command.kind = kind;
  return command;
}

void DataPlane::AddNetwork(uint32_t vni, uint32_t mtu) {
  auto network = std::make_unique<Network>(vni, mtu, fdb_capacity_, fdb_max_age_ms_, hash_key_,
                                           unknown_unicast_rate_, thread_count_ > 1);
  if (make_observer_) {
    network->observer = make_observer_(vni);
    network->fdb.Observe(network->observer.get());
  }
  Command command = Make(Command::Kind::kAddNetwork);
  command.network = network.get();
  [[maybe_unused]] const bool is_new = networks_.emplace(vni, std::move(network)).second;
  assert(is_new);
  group_.Submit(command);
}

void DataPlane::SetSendMtu(uint32_t vni, uint32_t mtu) {
  Command command = Make(Command::Kind::kSetSendMtu);
  command.network = networks_.at(vni).get();
  assert(mtu <= command.network->mtu);
  command.mtu = mtu;
  group_.Submit(command);
}

void DataPlane::RemoveNetwork(uint32_t vni) {
  Network* network = networks_.at(vni).get();
  std::vector<uint32_t> ports;
  for (const auto& [id, port] : ports_) {
    if (port->network == network) ports.push_back(id);
  }
  for (const uint32_t id : ports) RemovePort(id);
  std::vector<uint32_t> vteps;
  for (const auto& [id, vtep] : vteps_) {
    if (vtep->network == network) vteps.push_back(id);
  }
  for (const uint32_t id : vteps) RemoveVtep(id);
  Command command = Make(Command::Kind::kRemoveNetwork);
  command.network = network;
  group_.Call(command);
  networks_.erase(vni);
}

void DataPlane::AddPort(uint32_t vni, uint32_t id, std::span<const int> fds, uint32_t vnet_bytes,
                        TrafficStats* stats) {
  assert(!fds.empty() && fds.size() <= kMaxQueues && vnet_bytes <= kMaxVnetBytes);
  auto port = std::make_unique<Port>();
  port->id = id;
  port->network = networks_.at(vni).get();
  for (const int fd : fds) port->queues[port->queue_count++] = {port.get(), fd};
  port->vnet_bytes = vnet_bytes;
  port->stats = stats;
  Command command = Make(Command::Kind::kAddPort);
  command.port = port.get();
  ports_.emplace(id, std::move(port));
  group_.Submit(command);
}

void DataPlane::RemovePort(uint32_t id) {
  Command command = Make(Command::Kind::kRemovePort);
  command.port = ports_.at(id).get();
  group_.Call(command);
  ports_.erase(id);
}

void DataPlane::AddVtep(uint32_t vni, uint32_t id, const SocketAddress& address,
                        Encapsulation encapsulation, TrafficStats* stats, bool floods) {
  auto vtep = std::make_unique<Vtep>();
  vtep->id = id;
  vtep->network = networks_.at(vni).get();
  vtep->address = address;
  vtep->key = KeyOf(address.storage);
  vtep->encapsulation = encapsulation;
  Peer& peer = PeerAt(vtep->key);
  peer.vteps++;
  vtep->session = &peer.session;
  vtep->stats = stats;
  Command command = Make(Command::Kind::kAddVtep);
  command.vtep = vtep.get();
  vteps_.emplace(id, std::move(vtep));
  group_.Submit(command);
  if (floods) FloodVtep(id, true);
}

void DataPlane::FloodVtep(uint32_t id, bool floods) {
  Command command = Make(Command::Kind::kFloodVtep);
  command.vtep = vteps_.at(id).get();
  command.floods = floods;
  group_.Submit(command);
}

void DataPlane::MoveVtep(uint32_t id, const SocketAddress& address) {
  Command command = Make(Command::Kind::kMoveVtep);
  command.vtep = vteps_.at(id).get();
  command.address = address;
  group_.Submit(command);
}

void DataPlane::ConfigureVtep(uint32_t id, bool takes_partial) {
  Command command = Make(Command::Kind::kConfigureVtep);
  command.vtep = vteps_.at(id).get();
  command.takes_partial = takes_partial;
  group_.Submit(command);
}

void DataPlane::RemoveVtep(uint32_t id) {
  Command command = Make(Command::Kind::kRemoveVtep);
  command.vtep = vteps_.at(id).get();
  group_.Call(command);
  const AddressKey key = command.vtep->key;
  PeerAt(key).vteps--;
  vteps_.erase(id);
  ForgetUnused(key);
}

DataPlane::Peer& DataPlane::PeerAt(const AddressKey& key) {
  std::unique_ptr<Peer>& peer = peers_[key];
  if (peer == nullptr) {
    peer = std::make_unique<Peer>();
    peer->stats = std::make_unique<TrafficStats[]>(thread_count_);
    peer->session.stats = peer->stats.get();
  }
  return *peer;
}

void DataPlane::ForgetUnused(const AddressKey& key) {
  const Peer& peer = PeerAt(key);
  if (peer.vteps > 0 || peer.key != nullptr || peer.receive_keys > 0) return;
  if (!peer.session.path.is_set && peer.unsealed.is_empty()) peers_.erase(key);
}

void DataPlane::SetSendKey(const AddressKey& peer, CipherKind kind, CipherKey key, uint32_t index,
                           uint64_t first_counter) {
  auto made = std::make_unique<SendKey>();
  for (uint32_t thread = 0; thread < thread_count_; thread++) {
    made->ciphers[thread] = Cipher::Create(kind, key);
  }
  made->index = index;
  made->next_counter = first_counter;
  ReplaceSendKey(peer, std::move(made));
}

void DataPlane::ClearSendKey(const AddressKey& peer) {
  ReplaceSendKey(peer, nullptr);
  ForgetUnused(peer);
}

void DataPlane::ReplaceSendKey(const AddressKey& key, std::unique_ptr<SendKey> made) {
  Peer& peer = PeerAt(key);
  Command command = Make(Command::Kind::kSetSendKey);
  command.send_session = &peer.session;
  command.send_key = made.get();
  group_.Call(command);
  peer.key = std::move(made);
}

void DataPlane::AddReceiveKey(const AddressKey& peer, CipherKind kind, CipherKey key,
                              uint32_t index) {
  auto session = std::make_unique<ReceiveSession>(thread_count_ > 1);
  session->cipher = Cipher::Create(kind, key);
  session->index = index;
  session->peer = peer;
  Peer& known = PeerAt(peer);
  known.receive_keys++;
  session->stats = known.stats.get();
  session->unsealed = &known.unsealed;
  Command command = Make(Command::Kind::kAddSession);
  command.session = session.get();
  [[maybe_unused]] const bool is_new = sessions_.emplace(index, std::move(session)).second;
  assert(is_new);
  // The caller now tells the peer to seal with it: the forwarder must have it by then.
  group_.Call(command);
}

void DataPlane::RemoveReceiveKey(uint32_t index) {
  Command command = Make(Command::Kind::kRemoveSession);
  command.session = sessions_.at(index).get();
  group_.Call(command);
  const AddressKey peer = command.session->peer;
  sessions_.erase(index);
  PeerAt(peer).receive_keys--;
  ForgetUnused(peer);
}

void DataPlane::SetPath(const AddressKey& key, const Path& path) {
  assert(!path.is_unsealed || !path.is_relayed);
  Peer& peer = PeerAt(key);
  Command command = Make(Command::Kind::kSetPath);
  command.send_session = &peer.session;
  command.path = &path;
  group_.Call(command);
  peer.before = Sum(peer);
  ForgetUnused(key);
}

void DataPlane::SetUnsealedSources(const AddressKey& key, std::span<const SocketAddress> sources) {
  const UnsealedSources made(sources);
  Command command = Make(Command::Kind::kSetUnsealedSources);
  command.unsealed = &PeerAt(key).unsealed;
  command.sources = &made;
  group_.Call(command);
  ForgetUnused(key);
}

DataPlane::PathTraffic DataPlane::TrafficOf(const AddressKey& key) {
  const auto known = peers_.find(key);
  if (known == peers_.end()) return {};
  const Peer& peer = *known->second;
  PathTraffic traffic = Sum(peer);
  traffic.rx_frames -= peer.before.rx_frames;
  traffic.rx_bytes -= peer.before.rx_bytes;
  traffic.tx_frames -= peer.before.tx_frames;
  traffic.tx_bytes -= peer.before.tx_bytes;
  return traffic;
}

DataPlane::PathTraffic DataPlane::Sum(const Peer& peer) const {
  PathTraffic sum;
  uint64_t last_rx_ms = 0;
  for (uint32_t thread = 0; thread < thread_count_; thread++) {
    TrafficStats& stats = peer.stats[thread];
    sum.rx_frames += Load(stats.rx_frames);
    sum.rx_bytes += Load(stats.rx_bytes);
    sum.tx_frames += Load(stats.tx_frames);
    sum.tx_bytes += Load(stats.tx_bytes);
    last_rx_ms = std::max<uint64_t>(last_rx_ms, Load(stats.last_rx_ms));
  }
  // Another thread's clock may have been read a moment after ours.
  if (last_rx_ms > 0) sum.silent_ms = std::max(MonotonicMs(), last_rx_ms) - last_rx_ms;
  return sum;
}

void DataPlane::SetRoute(uint64_t tag, const SocketAddress& to, bool is_last) {
  if (const auto known = routes_.find(tag); known != routes_.end()) {
    Command command = Make(Command::Kind::kMoveRoute);
    command.route = known->second.get();
    command.address = to;
    command.is_last = is_last;
    return group_.Submit(command);
  }
  auto route = std::make_unique<RelayRoute>();
  route->tag = tag;
  route->to = to;
  route->is_last = is_last;
  Command command = Make(Command::Kind::kAddRoute);
  command.route = route.get();
  routes_.emplace(tag, std::move(route));
  group_.Submit(command);
}

void DataPlane::ClearRoute(uint64_t tag) {
  const auto known = routes_.find(tag);
  if (known == routes_.end()) return;
  Command command = Make(Command::Kind::kRemoveRoute);
  command.route = known->second.get();
  group_.Call(command);
  routes_.erase(known);
}

void DataPlane::SetRelayPeers(std::vector<AddressKey> addresses) {
  auto peers = std::make_unique<relay::Peers>(std::move(addresses));
  Command command = Make(Command::Kind::kSetRelayPeers);
  command.relay_peers = peers.get();
  group_.Call(command);
  relay_peers_ = std::move(peers);
}

void DataPlane::SetHandshakeKeys(const std::vector<std::span<const uint8_t>>& keys) {
  auto made = std::make_unique<handshake::Keys>(keys);
  Command command = Make(Command::Kind::kSetHandshakeKeys);
  command.handshake_keys = made.get();
  group_.Call(command);
  handshake_keys_ = std::move(made);
}

void DataPlane::SetEnvelopeKeys(const std::vector<envelope::MeshKey>& keys) {
  auto made = std::make_unique<envelope::Keys>(keys);
  Command command = Make(Command::Kind::kSetEnvelopeKeys);
  command.envelope_keys = made.get();
  group_.Call(command);
  envelope_keys_ = std::move(made);
}

void DataPlane::Pin(uint32_t vni, Mac mac, uint32_t port) {
  Command command = Make(Command::Kind::kPin);
  command.network = networks_.at(vni).get();
  command.port = ports_.at(port).get();
  command.mac = mac;
  group_.Submit(command);
}

void DataPlane::Unpin(uint32_t vni, Mac mac) {
  Command command = Make(Command::Kind::kUnpin);
  command.network = networks_.at(vni).get();
  command.mac = mac;
  group_.Submit(command);
}

void DataPlane::SetGateway(uint32_t vni, const Gateway& gateway) {
  Command command = Make(Command::Kind::kSetGateway);
  command.network = networks_.at(vni).get();
  command.gateway = gateway;
  group_.Submit(command);
}

void DataPlane::UpdateEndpoints(uint32_t vni, std::span<const EndpointUpdate> updates) {
  Command command = Make(Command::Kind::kUpdateEndpoints);
  command.network = networks_.at(vni).get();
  // One command, unless that kept the forwarder from its frames for more than a few milliseconds.
  while (!updates.empty()) {
    command.updates = updates.first(std::min(updates.size(), kMaxUpdates));
    updates = updates.subspan(command.updates.size());
    group_.Call(command);
  }
}

std::vector<FdbRow> DataPlane::SnapshotFdb(uint32_t vni) {
  constexpr uint32_t kFirstRows = 256;
  std::vector<FdbRow> rows;
  FdbSnapshot snapshot{nullptr, 0, kFirstRows};
  Command command = Make(Command::Kind::kSnapshotFdb);
  command.network = networks_.at(vni).get();
  command.snapshot = &snapshot;
  // The table may grow between two looks: room for that is an eighth more than there was.
  while (snapshot.count > snapshot.capacity) {
    rows.resize(snapshot.count + snapshot.count / 8);
    snapshot.rows = rows.data();
    snapshot.capacity = static_cast<uint32_t>(rows.size());
    group_.Call(command);
  }
  rows.resize(snapshot.count);
  return rows;
}

void DataPlane::SendControl(std::span<const uint8_t> bytes, const SocketAddress& to) {
  const Bind* bound = sockets_.ForFamily(to.is_ipv6());
  if (bound == nullptr || sendto(bound->mesh[0].get(), bytes.data(), bytes.size(), MSG_DONTWAIT,
                                 to.get(), to.size) < 0) {
    Count(&stats_.control_send_failed);
  }
}

}  // namespace weft
