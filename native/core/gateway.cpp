#include "gateway.hpp"

#include <algorithm>

#include "endian.hpp"
#include "packet.hpp"

namespace weft {
namespace {

constexpr uint16_t kEtherTypeArp = 0x0806;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
// ARP for IPv4 over Ethernet (RFC 826), whatever the operation.
constexpr uint64_t kArpHead = 0x000108000604;
constexpr uint32_t kArpSenderIp = 14;
constexpr uint32_t kArpTargetIp = 24;
constexpr uint32_t kArpBytes = 28;
// Neighbour discovery (RFC 4861 §4.3, §4.4).
constexpr uint8_t kIcmpV6 = 58;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint32_t kTargetAt = 8;
constexpr uint32_t kMessageBytes = 24;

}  // namespace

bool Gateway::Concerns(std::span<const uint8_t> frame) const {
  if (mac == kNoMac) return false;
  if (LoadBe48(&frame[ethernet::kDestination]) == mac ||
      LoadBe48(&frame[ethernet::kSource]) == mac) {
    return true;
  }
  const uint16_t type = LoadBe16(&frame[ethernet::kAddressesBytes]);
  const std::span<const uint8_t> packet = frame.subspan(kEthernetBytes);
  if (type == kEtherTypeArp) {
    if (packet.size() < kArpBytes || LoadBe48(packet.data()) != kArpHead) return false;
    return Has(KeyOfIpv4(LoadBe32(&packet[kArpSenderIp]))) ||
           Has(KeyOfIpv4(LoadBe32(&packet[kArpTargetIp])));
  }
  if (type != kEtherTypeIpv6 || packet.size() < kIpv6Bytes + kMessageBytes || packet[0] >> 4 != 6 ||
      packet[ipv6::kNextHeader] != kIcmpV6) {
    return false;
  }
  const uint8_t kind = packet[kIpv6Bytes];
  if (kind != kSolicitation && kind != kAdvertisement) return false;
  return Has(KeyOfIpv6(&packet[kIpv6Bytes + kTargetAt]));
}

bool Gateway::Has(const AddressKey& address) const {
  return std::find(addresses.begin(), addresses.begin() + count, address) !=
         addresses.begin() + count;
}

}  // namespace weft
