#include "tables.hpp"

#include <cassert>

#include "endian.hpp"
#include "relay.hpp"
#include "sealed.hpp"

namespace weft {
namespace {

template <typename T>
void RemoveFrom(T*& head, T& item, T* T::*link) {
  T** at = &head;
  while (*at != &item) {
    assert(*at != nullptr);
    at = &((*at)->*link);
  }
  *at = item.*link;
  item.*link = nullptr;
}

// In a bucket the order does not matter.
template <typename T>
void PutInto(T*& bucket, T& item) {
  item.next_in_bucket = bucket;
  bucket = &item;
}

// New items go last, so that floods visit them in the order in which they were added.
template <typename T>
void AppendTo(T*& head, T& item) {
  T** at = &head;
  while (*at != nullptr) at = &(*at)->next;
  *at = &item;
  item.next = nullptr;
}

}  // namespace

AddressKey KeyOf(const sockaddr_storage& address) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&address);
  if (address.ss_family == AF_INET) {
    return KeyOfIpv4(LoadBe32(bytes + offsetof(sockaddr_in, sin_addr)));
  }
  return KeyOfIpv6(bytes + offsetof(sockaddr_in6, sin6_addr));
}

Tables::Tables() : vteps_(kVtepBuckets), sessions_(kSessionBuckets), routes_(kRouteBuckets) {}

Network* Tables::FindNetwork(uint32_t vni) const {
  Network* network = networks_[vni % kNetworkBuckets];
  while (network != nullptr && network->vni != vni) network = network->next_in_bucket;
  return network;
}

Vtep* Tables::FindVtep(const Network& network, const AddressKey& key) const {
  Vtep* vtep = vteps_[VtepBucket(network, key)];
  while (vtep != nullptr && (vtep->network != &network || vtep->key != key)) {
    vtep = vtep->next_in_bucket;
  }
  return vtep;
}

ReceiveSession* Tables::FindSession(uint32_t index) const {
  ReceiveSession* session = sessions_[index % kSessionBuckets];
  while (session != nullptr && session->index != index) session = session->next_in_bucket;
  return session;
}

RelayRoute* Tables::FindRoute(uint64_t tag) const {
  RelayRoute* route = routes_[tag % kRouteBuckets];
  while (route != nullptr && route->tag != tag) route = route->next_in_bucket;
  return route;
}

bool Tables::IsRelayPeer(const AddressKey& address) const {
  return relay_peers_ != nullptr && relay_peers_->Has(address);
}

size_t Tables::VtepBucket(const Network& network, const AddressKey& key) {
  const uint64_t mixed = (key.low ^ key.high * 31 ^ network.vni) * 0x9e3779b97f4a7c15;
  return (mixed >> 32) % kVtepBuckets;
}

void Tables::AddNetwork(Network& network) {
  PutInto(networks_[network.vni % kNetworkBuckets], network);
}

void Tables::RemoveNetwork(Network& network) {
  assert(network.ports == nullptr && network.vtep_count == 0);
  RemoveFrom(networks_[network.vni % kNetworkBuckets], network, &Network::next_in_bucket);
}

void Tables::AddPort(Port& port) { AppendTo(port.network->ports, port); }

void Tables::RemovePort(Port& port) { RemoveFrom(port.network->ports, port, &Port::next); }

void Tables::AddVtep(Vtep& vtep) {
  vtep.network->vtep_count++;
  PutInto(vteps_[VtepBucket(*vtep.network, vtep.key)], vtep);
}

void Tables::RemoveVtep(Vtep& vtep) {
  FloodVtep(vtep, false);
  vtep.network->vtep_count--;
  RemoveFrom(vteps_[VtepBucket(*vtep.network, vtep.key)], vtep, &Vtep::next_in_bucket);
}

void Tables::FloodVtep(Vtep& vtep, bool floods) {
  if (floods == vtep.floods) return;
  vtep.floods = floods;
  if (floods) {
    AppendTo(vtep.network->flooded, vtep);
  } else {
    RemoveFrom(vtep.network->flooded, vtep, &Vtep::next);
  }
}

void Tables::AddSession(ReceiveSession& session) {
  PutInto(sessions_[session.index % kSessionBuckets], session);
}

void Tables::RemoveSession(ReceiveSession& session) {
  RemoveFrom(sessions_[session.index % kSessionBuckets], session, &ReceiveSession::next_in_bucket);
}

void Tables::AddRoute(RelayRoute& route) { PutInto(routes_[route.tag % kRouteBuckets], route); }

void Tables::RemoveRoute(RelayRoute& route) {
  RemoveFrom(routes_[route.tag % kRouteBuckets], route, &RelayRoute::next_in_bucket);
}

}  // namespace weft
