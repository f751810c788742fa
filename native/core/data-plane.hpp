#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "forwarder.hpp"
#include "sealed.hpp"
#include "sockets.hpp"

namespace weft {

using CipherKey = std::span<const uint8_t, kCipherKeyBytes>;

struct DataPlaneOptions {
  std::span<const SocketAddress> addresses{};
  uint16_t mesh_port = 0;
  uint16_t vxlan_port = 0;
  uint32_t fdb_capacity = 1;
  uint32_t fdb_max_age_ms = 1;
  // Frames a second to unknown MACs that each network floods.
  uint32_t unknown_unicast_rate = 1000;
  // Random: keys the hashes of the FDB and of where handshakes come from.
  uint64_t hash_key = 0;
  bool joins_udp = false;
  // 1 to kMaxThreads.
  uint32_t threads = 1;
};

// The control thread's side: owns every object that the forwarder works with, and the forwarder's
// threads. All calls are from one thread. Callers check their arguments: what is named must exist,
// and what is added must not.
class DataPlane {
 public:
  // `stats` and every TrafficStats that is passed below are the first of as many as there are
  // threads, and outlive the data plane.
  static std::unique_ptr<DataPlane> Open(const DataPlaneOptions& options, GlobalStats& stats,
                                         ControlWaker& waker, Sockets::Failure& failure);
  // Stops the threads and closes the sockets; the devices' descriptors are the caller's.
  ~DataPlane();

  std::span<const Bind> binds() const { return sockets_.binds(); }

  // The FDB of each network that is added from now on gets the observer that `make` makes. What
  // that one works with outlives the data plane.
  using MakeObserver = std::function<std::unique_ptr<FdbObserver>(uint32_t vni)>;
  void Observe(MakeObserver make) { make_observer_ = std::move(make); }

  void AddNetwork(uint32_t vni, uint32_t mtu);
  // Of what ports send from now on; at most the network's MTU.
  void SetSendMtu(uint32_t vni, uint32_t mtu);
  // With its ports and VTEPs.
  void RemoveNetwork(uint32_t vni);
  void AddPort(uint32_t vni, uint32_t port, std::span<const int> fds, uint32_t vnet_bytes,
               TrafficStats* stats);
  // When it returns, the descriptors are no longer in use.
  void RemovePort(uint32_t port);
  void AddVtep(uint32_t vni, uint32_t vtep, const SocketAddress& address,
               Encapsulation encapsulation, TrafficStats* stats, bool floods = true);
  // Whether floods go to it. Frames from it are taken in any case.
  void FloodVtep(uint32_t vtep, bool floods);
  void MoveVtep(uint32_t vtep, const SocketAddress& address);
  void ConfigureVtep(uint32_t vtep, bool takes_partial);
  void RemoveVtep(uint32_t vtep);

  // Keys for the host behind an address. A send key replaces the one before it at once; receive
  // keys stand side by side, so that none of what is under way is lost. Indexes of receive keys are
  // ours.
  void SetSendKey(const AddressKey& peer, CipherKind kind, CipherKey key, uint32_t index,
                  uint64_t first_counter);
  void ClearSendKey(const AddressKey& peer);
  void AddReceiveKey(const AddressKey& peer, CipherKind kind, CipherKey key, uint32_t index);
  void RemoveReceiveKey(uint32_t index);

  // Sealed frames for the host behind an address go by this path.
  void SetPath(const AddressKey& peer, const Path& path);

  // What comes from these addresses and ports in the clear, under an index of one of the peer's
  // receive keys, is the peer's; at most UnsealedSources::kMax. At first none is.
  void SetUnsealedSources(const AddressKey& peer, std::span<const SocketAddress> sources);

  // What was sealed for a host and sent since its path was set, and what it sealed and we opened.
  struct PathTraffic {
    uint64_t rx_frames = 0;
    uint64_t rx_bytes = 0;
    uint64_t tx_frames = 0;
    uint64_t tx_bytes = 0;
    // Since the last frame came; none did: kNever.
    uint64_t silent_ms = kNever;
    static constexpr uint64_t kNever = UINT64_MAX;
  };
  PathTraffic TrafficOf(const AddressKey& peer);

  // As a relay: what is for that tag goes on to `to`, the host itself if `is_last`.
  void SetRoute(uint64_t tag, const SocketAddress& to, bool is_last);
  // Of a tag that has none: does nothing.
  void ClearRoute(uint64_t tag);
  // Relayed datagrams are taken from these addresses, and from no others.
  void SetRelayPeers(std::vector<AddressKey> addresses);

  // Keys of mac1, 32 bytes each and copied: initiations and responses that were made with none of
  // them are dropped. Until they are set all go up.
  void SetHandshakeKeys(const std::vector<std::span<const uint8_t>>& keys);
  void SetEnvelopeKeys(const std::vector<envelope::MeshKey>& keys);

  void Pin(uint32_t vni, Mac mac, uint32_t port);
  void Unpin(uint32_t vni, Mac mac);
  // Without a MAC: the network has no gateway.
  void SetGateway(uint32_t vni, const Gateway& gateway);
  Vtep* VtepAt(uint32_t vtep) const { return vteps_.at(vtep).get(); }
  // Applies the changes in their order, as one command for each kMaxUpdates.
  static constexpr size_t kMaxUpdates = 16384;
  void UpdateEndpoints(uint32_t vni, std::span<const EndpointUpdate> updates);

  std::vector<FdbRow> SnapshotFdb(uint32_t vni);

  // Sends from the mesh port; a refusal is counted.
  void SendControl(std::span<const uint8_t> bytes, const SocketAddress& to);
  template <typename Receive>
  void DrainControl(Receive receive) {
    for (const auto& forwarder : group_.forwarders) forwarder->control().Drain(receive);
  }

 private:
  DataPlane(const DataPlaneOptions& options, GlobalStats& stats);

  // A host that VTEPs or a key speak of.
  struct Peer {
    SendSession session;
    std::unique_ptr<SendKey> key;
    UnsealedSources unsealed;
    uint32_t vteps = 0;
    uint32_t receive_keys = 0;
    // One for each thread; and what they added up to when the path was set.
    std::unique_ptr<TrafficStats[]> stats;
    PathTraffic before;
  };
  struct HashAddress {
    size_t operator()(const AddressKey& key) const { return key.high * 31 ^ key.low; }
  };

  Command Make(Command::Kind kind) const;
  Peer& PeerAt(const AddressKey& key);
  void ReplaceSendKey(const AddressKey& peer, std::unique_ptr<SendKey> key);
  PathTraffic Sum(const Peer& peer) const;
  void ForgetUnused(const AddressKey& key);

  const uint32_t fdb_capacity_;
  const uint32_t fdb_max_age_ms_;
  const uint64_t hash_key_;
  MakeObserver make_observer_;
  const uint32_t unknown_unicast_rate_;
  const uint32_t thread_count_;
  GlobalStats& stats_;
  Sockets sockets_;
  std::unordered_map<uint32_t, std::unique_ptr<Network>> networks_;
  std::unordered_map<uint32_t, std::unique_ptr<Port>> ports_;
  std::unordered_map<uint32_t, std::unique_ptr<Vtep>> vteps_;
  std::unordered_map<AddressKey, std::unique_ptr<Peer>, HashAddress> peers_;
  std::unordered_map<uint32_t, std::unique_ptr<ReceiveSession>> sessions_;
  std::unordered_map<uint64_t, std::unique_ptr<RelayRoute>> routes_;
  std::unique_ptr<relay::Peers> relay_peers_;
  std::unique_ptr<handshake::Keys> handshake_keys_;
  std::unique_ptr<envelope::Keys> envelope_keys_;
  ForwarderGroup group_;
  std::vector<std::thread> threads_;
};

}  // namespace weft
