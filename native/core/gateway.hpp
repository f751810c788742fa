#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "address-key.hpp"
#include "fdb.hpp"

namespace weft {

// A network's gateway, which every host has for itself (docs/adr/0026). src/dataplane/gateway.ts
// does the same.
struct Gateway {
  static constexpr size_t kMaxAddresses = 3;

  // kNoMac: the network has none.
  Mac mac = kNoMac;
  uint32_t count = 0;
  std::array<AddressKey, kMaxAddresses> addresses{};

  // Whether a frame, at least a header long, is to or from the gateway, or ARP or neighbour
  // discovery that speaks of its addresses.
  bool Concerns(std::span<const uint8_t> frame) const;

 private:
  bool Has(const AddressKey& address) const;
};

}  // namespace weft
