#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "address-key.hpp"
#include "fdb.hpp"
#include "flood-limit.hpp"
#include "gateway.hpp"
#include "neighbours.hpp"
#include "stats.hpp"

// What the forwarder knows: networks, their ports and their VTEPs. The control thread builds these
// objects and frees them; between the commands that hand them over and take them back, only the
// forwarder's thread touches them (docs/adr/0009).
namespace weft {

struct Network;
struct Port;
struct ReceiveSession;
struct SendSession;

namespace relay {
class Peers;
}

namespace handshake {
class Keys;
}

namespace envelope {
class Keys;
}

// An underlay address in the form that sockets take.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  bool is_ipv6() const { return storage.ss_family == AF_INET6; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// The address alone, without its UDP port.
AddressKey KeyOf(const sockaddr_storage& address);

constexpr uint32_t kMaxQueues = 8;

// One queue of a device. Forwarder n of N reads the queues n, n + N ... and writes to one of them.
struct Queue {
  Port* port = nullptr;
  int fd = -1;
};

// A device on a network.
struct Port {
  uint32_t id = 0;
  Network* network = nullptr;
  Port* next = nullptr;
  std::array<Queue, kMaxQueues> queues{};
  uint32_t queue_count = 0;
  // Of the virtio-net header before each frame: 0, or 10 to 12.
  uint32_t vnet_bytes = 0;
  // One for each thread.
  TrafficStats* stats = nullptr;
  std::atomic<bool> is_gone = false;

  Place place() const { return reinterpret_cast<Place>(this); }
};

enum class Encapsulation : uint8_t { kVxlan, kSealed };

// A peer's tunnel end on a network.
struct Vtep {
  uint32_t id = 0;
  Network* network = nullptr;
  // Among those that floods go to.
  Vtep* next = nullptr;
  bool floods = false;
  Vtep* next_in_bucket = nullptr;
  SocketAddress address;
  AddressKey key;
  Encapsulation encapsulation = Encapsulation::kVxlan;
  // The peer has announced that it completes partial checksums. Who does is a native data plane,
  // which combines congestion marks as well.
  bool takes_partial = false;
  // UDP_SEGMENT failed on the way to it.
  std::atomic<bool> is_plain = false;
  // Of the host behind the address: shared by its VTEPs. Sealed frames go by its path.
  SendSession* session = nullptr;
  // One for each thread.
  TrafficStats* stats = nullptr;

  Place place() const { return reinterpret_cast<Place>(this) | 1; }
};

// Where relayed datagrams for a host go next.
struct RelayRoute {
  // The first bytes of the host's id.
  uint64_t tag = 0;
  SocketAddress to;
  // `to` is the host itself, which gets the datagram without its relay header.
  bool is_last = false;
  // UDP_SEGMENT failed on the way there.
  std::atomic<bool> is_plain = false;
  RelayRoute* next_in_bucket = nullptr;
};

constexpr bool IsVtepPlace(Place place) { return (place & 1) != 0; }
inline Vtep* VtepAt(Place place) { return reinterpret_cast<Vtep*>(place & ~Place{1}); }
inline Port* PortAt(Place place) { return reinterpret_cast<Port*>(place); }

// A change to what is known of an endpoint on another host.
struct EndpointUpdate {
  Mac mac = 0;
  // Its host's; null forgets the endpoint.
  Vtep* vtep = nullptr;
  bool has_address = false;
  AddressKey address;
};

// Messages a second that one network's stations are sent (RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8).
constexpr uint32_t kTooBigRate = 1000;

struct Network {
  Network(uint32_t vni_, uint32_t mtu_, uint32_t fdb_capacity, uint32_t fdb_max_age,
          uint64_t hash_key, uint32_t unknown_unicast_rate, bool is_shared)
      : vni(vni_),
        mtu(mtu_),
        send_mtu(mtu_),
        fdb(fdb_capacity, fdb_max_age, hash_key, is_shared),
        unknown_unicast(unknown_unicast_rate, is_shared),
        too_big(kTooBigRate, is_shared) {}

  const uint32_t vni;
  const uint32_t mtu;
  // Of what ports send: at most `mtu`.
  uint32_t send_mtu;
  Gateway gateway;
  Port* ports = nullptr;
  // The VTEPs that floods go to.
  Vtep* flooded = nullptr;
  uint32_t vtep_count = 0;
  Network* next_in_bucket = nullptr;
  std::unique_ptr<FdbObserver> observer;
  Fdb fdb;
  Neighbours neighbours;
  FloodLimit unknown_unicast;
  // Messages to stations whose packets are too long.
  FloodLimit too_big;
};

// The forwarder's indexes. Every operation but the removals is O(1) in expectation; none allocates.
class Tables {
 public:
  Tables();

  Network* FindNetwork(uint32_t vni) const;
  Vtep* FindVtep(const Network& network, const AddressKey& key) const;
  ReceiveSession* FindSession(uint32_t index) const;
  RelayRoute* FindRoute(uint64_t tag) const;
  // Whether relayed datagrams are taken from there.
  bool IsRelayPeer(const AddressKey& address) const;

  void AddNetwork(Network& network);
  void RemoveNetwork(Network& network);
  void AddPort(Port& port);
  void RemovePort(Port& port);
  void AddVtep(Vtep& vtep);
  void RemoveVtep(Vtep& vtep);
  // Whether floods go to it.
  void FloodVtep(Vtep& vtep, bool floods);
  void AddSession(ReceiveSession& session);
  void RemoveSession(ReceiveSession& session);
  void AddRoute(RelayRoute& route);
  void RemoveRoute(RelayRoute& route);
  void SetRelayPeers(const relay::Peers* peers) { relay_peers_ = peers; }
  // Null as long as there are none.
  const handshake::Keys* handshake_keys() const { return handshake_keys_; }
  void SetHandshakeKeys(const handshake::Keys* keys) { handshake_keys_ = keys; }
  const envelope::Keys* envelope_keys() const { return envelope_keys_; }
  void SetEnvelopeKeys(const envelope::Keys* keys) { envelope_keys_ = keys; }

  // Calls visit(network) for every network.
  template <typename Visit>
  void ForEachNetwork(Visit visit) {
    for (Network* head : networks_) {
      for (Network* network = head; network != nullptr; network = network->next_in_bucket) {
        visit(*network);
      }
    }
  }

 private:
  static constexpr size_t kNetworkBuckets = 1024;
  static constexpr size_t kVtepBuckets = 16384;
  static constexpr size_t kSessionBuckets = 4096;
  static constexpr size_t kRouteBuckets = 4096;

  static size_t VtepBucket(const Network& network, const AddressKey& key);

  std::array<Network*, kNetworkBuckets> networks_{};
  std::vector<Vtep*> vteps_;
  std::vector<ReceiveSession*> sessions_;
  std::vector<RelayRoute*> routes_;
  const relay::Peers* relay_peers_ = nullptr;
  const handshake::Keys* handshake_keys_ = nullptr;
  const envelope::Keys* envelope_keys_ = nullptr;
};

}  // namespace weft
