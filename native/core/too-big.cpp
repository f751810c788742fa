#include "too-big.hpp"

#include <algorithm>
#include <cstring>

#include "checksum.hpp"
#include "endian.hpp"

namespace weft {
namespace {

constexpr uint32_t kMacBytes = 6;
constexpr uint32_t kIcmpBytes = 8;
constexpr uint32_t kIcmpChecksum = 2;
constexpr uint8_t kTtl = 64;
// RFC 1812 §4.3.2.5: internetwork control.
constexpr uint8_t kControlTos = 0xc0;
constexpr uint8_t kProtocolIcmp = 1;
constexpr uint8_t kUnreachable = 3;
constexpr uint8_t kFragmentationNeeded = 4;
constexpr uint8_t kProtocolIcmpV6 = 58;
constexpr uint8_t kPacketTooBig = 2;
constexpr uint8_t kFirstInformational = 128;
constexpr uint8_t kRedirect = 137;
constexpr uint8_t kMulticast6 = 0xff;

// Messages that ask or answer, and tell of no error: echo, timestamps, information, masks.
constexpr bool IsIcmpQuestion(uint8_t type) {
  return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

// Of one station: neither nobody, this network or host, nor a group or the reserved (RFC 1122
// §3.2.1.3).
bool IsStation4(const uint8_t* address) {
  return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

bool IsStation6(const uint8_t* address) {
  const bool is_zero = std::all_of(address, address + 16, [](uint8_t byte) { return byte == 0; });
  return !is_zero && address[0] != kMulticast6;
}

bool MayAnswer4(std::span<const uint8_t> packet) {
  if (packet.size() < kMinIpv4Bytes || packet[0] >> 4 != 4) return false;
  const uint32_t header = (packet[0] & 0x0fU) * 4;
  if (header < kMinIpv4Bytes || packet.size() < header + kIcmpBytes) return false;
  if ((LoadBe16(&packet[ipv4::kFragment]) & ipv4::kFragmentOffset) != 0) return false;
  if (packet[ipv4::kProtocol] == kProtocolIcmp && !IsIcmpQuestion(packet[header])) return false;
  return IsStation4(&packet[ipv4::kAddresses]) && IsStation4(&packet[ipv4::kAddresses + 4]);
}

bool MayAnswer6(std::span<const uint8_t> packet) {
  if (packet.size() < kIpv6Bytes + kIcmpBytes || packet[0] >> 4 != 6) return false;
  const uint8_t type = packet[kIpv6Bytes];
  if (packet[ipv6::kNextHeader] == kProtocolIcmpV6 &&
      (type < kFirstInformational || type == kRedirect)) {
    return false;
  }
  return IsStation6(&packet[ipv6::kAddresses]) && IsStation6(&packet[ipv6::kAddresses + 16]);
}

void SwapAddresses(const uint8_t* from, uint32_t bytes, uint8_t* to) {
  std::memcpy(to, from + bytes, bytes);
  std::memcpy(to + bytes, from, bytes);
}

uint32_t WriteIpv4(std::span<const uint8_t> packet, uint32_t mtu, uint8_t* ip) {
  const auto quoted = static_cast<uint32_t>(
      std::min<size_t>(packet.size(), kMaxIpv4Error - kMinIpv4Bytes - kIcmpBytes));
  const uint32_t total = kMinIpv4Bytes + kIcmpBytes + quoted;
  std::memset(ip, 0, kMinIpv4Bytes + kIcmpBytes);
  ip[0] = 0x45;
  ip[ipv4::kTos] = kControlTos;
  StoreBe16(ip + ipv4::kTotalLength, static_cast<uint16_t>(total));
  StoreBe16(ip + ipv4::kFragment, ipv4::kDontFragment);
  ip[ipv4::kTtl] = kTtl;
  ip[ipv4::kProtocol] = kProtocolIcmp;
  SwapAddresses(&packet[ipv4::kAddresses], 4, ip + ipv4::kAddresses);
  StoreNative(ip + ipv4::kChecksum, FinishHeaderSum(SumBytes(ip, kMinIpv4Bytes)));
  uint8_t* icmp = ip + kMinIpv4Bytes;
  icmp[0] = kUnreachable;
  icmp[1] = kFragmentationNeeded;
  StoreBe16(icmp + 6, static_cast<uint16_t>(mtu));
  std::memcpy(icmp + kIcmpBytes, packet.data(), quoted);
  StoreNative(icmp + kIcmpChecksum, FinishHeaderSum(SumBytes(icmp, kIcmpBytes + quoted)));
  return total;
}

uint32_t WriteIpv6(std::span<const uint8_t> packet, uint32_t mtu, uint8_t* ip) {
  const auto quoted = static_cast<uint32_t>(
      std::min<size_t>(packet.size(), kMaxIpv6Error - kIpv6Bytes - kIcmpBytes));
  const uint32_t payload = kIcmpBytes + quoted;
  std::memset(ip, 0, kIpv6Bytes + kIcmpBytes);
  ip[0] = 0x60;
  StoreBe16(ip + ipv6::kPayloadLength, static_cast<uint16_t>(payload));
  ip[ipv6::kNextHeader] = kProtocolIcmpV6;
  ip[ipv6::kHopLimit] = kTtl;
  SwapAddresses(&packet[ipv6::kAddresses], 16, ip + ipv6::kAddresses);
  uint8_t* icmp = ip + kIpv6Bytes;
  icmp[0] = kPacketTooBig;
  StoreBe32(icmp + 4, mtu);
  std::memcpy(icmp + kIcmpBytes, packet.data(), quoted);
  const ChecksumSum pseudo =
      PseudoHeaderSum(ip + ipv6::kAddresses, true, kProtocolIcmpV6, static_cast<uint16_t>(payload));
  StoreNative(icmp + kIcmpChecksum, FinishHeaderSum(SumBytes(icmp, payload, pseudo)));
  return kIpv6Bytes + payload;
}

}  // namespace

uint32_t WriteTooBig(std::span<const uint8_t> frame, uint32_t mtu, uint8_t* answer) {
  const uint16_t type = LoadBe16(&frame[ethernet::kAddressesBytes]);
  const std::span packet = frame.subspan(kEthernetBytes);
  const bool is_ipv4 = type == kEtherTypeIpv4;
  if (is_ipv4 ? !MayAnswer4(packet) : type != kEtherTypeIpv6 || !MayAnswer6(packet)) return 0;
  SwapAddresses(frame.data(), kMacBytes, answer);
  StoreBe16(answer + ethernet::kAddressesBytes, type);
  uint8_t* ip = answer + kEthernetBytes;
  return kEthernetBytes + (is_ipv4 ? WriteIpv4(packet, mtu, ip) : WriteIpv6(packet, mtu, ip));
}

}  // namespace weft
