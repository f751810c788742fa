#include "gateway.hpp"

#include <algorithm>

#include "endian.hpp"
#include "neighbour-message.hpp"
#include "packet.hpp"

namespace weft {
bool Gateway::Concerns(std::span<const uint8_t> frame) const {
  if (mac == kNoMac) return false;
  if (LoadBe48(&frame[ethernet::kDestination]) == mac ||
      LoadBe48(&frame[ethernet::kSource]) == mac) {
    return true;
  }
  const uint16_t type = LoadBe16(&frame[ethernet::kAddressesBytes]);
  const std::span<const uint8_t> packet = frame.subspan(kEthernetBytes);
  if (type == kEtherTypeArp) {
    if (packet.size() < arp::kBytes || LoadBe48(packet.data()) != arp::kAnyHead) return false;
    return Has(KeyOfIpv4(LoadBe32(&packet[arp::kSenderIp]))) ||
           Has(KeyOfIpv4(LoadBe32(&packet[arp::kTargetIp])));
  }
  if (type != kEtherTypeIpv6 || packet.size() < kIpv6Bytes + nd::kBytes || packet[0] >> 4 != 6 ||
      packet[ipv6::kNextHeader] != nd::kIcmpV6) {
    return false;
  }
  const uint8_t kind = packet[kIpv6Bytes];
  if (kind != nd::kSolicitation && kind != nd::kAdvertisement) return false;
  return Has(KeyOfIpv6(&packet[kIpv6Bytes + nd::kTarget]));
}

bool Gateway::Has(const AddressKey& address) const {
  return std::find(addresses.begin(), addresses.begin() + count, address) !=
         addresses.begin() + count;
}

}  // namespace weft
