#include "neighbour-answer.hpp"

#include <algorithm>
#include <cstring>

#include "checksum.hpp"
#include "neighbour-message.hpp"
#include "packet.hpp"

namespace weft {
namespace {

constexpr uint32_t kMacBytes = 6;

constexpr uint8_t kMulticast = 0xff;
constexpr uint32_t kIpv6AddressBytes = 16;
// RFC 4291 §2.7.1: the group that listens for a target, and the target's last three bytes.
constexpr uint8_t kSolicitedNode[] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};

void StoreBe48(uint8_t* at, uint64_t value) {
  StoreBe16(at, static_cast<uint16_t>(value >> 32));
  StoreBe32(at + 2, static_cast<uint32_t>(value));
}

bool IsZero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

Question ReadArp(std::span<const uint8_t> frame) {
  if (frame.size() < kEthernetBytes + arp::kBytes) return {};
  const uint8_t* packet = &frame[kEthernetBytes];
  if (LoadBe64(packet + arp::kHead) != arp::kRequest) return {};
  const uint32_t asker = LoadBe32(packet + arp::kSenderIp);
  const uint32_t target = LoadBe32(packet + arp::kTargetIp);
  const Mac source = LoadBe48(&frame[ethernet::kSource]);
  // A probe or an announcement: RFC 5227 §2.1.1, §2.3.
  if (asker == 0 || asker == target || LoadBe48(packet + arp::kSenderMac) != source) return {};
  return {Question::Kind::kArp, KeyOfIpv4(target)};
}

// The sum over pseudo header and message: all ones if the checksum in it is right.
uint16_t MessageSum(const uint8_t* ip, std::span<const uint8_t> message) {
  const ChecksumSum pseudo = PseudoHeaderSum(ip + ipv6::kAddresses, true, nd::kIcmpV6,
                                             static_cast<uint16_t>(message.size()));
  return FoldSum(SumBytes(message.data(), message.size(), pseudo));
}

// The MAC that the sender says is its own; kNoMac if it says none, or if an option is cut off.
Mac SourceMacIn(std::span<const uint8_t> options) {
  Mac mac = kNoMac;
  while (!options.empty()) {
    const size_t bytes = options.size() < nd::kOptionUnit ? 0 : options[1] * nd::kOptionUnit;
    if (bytes == 0 || bytes > options.size()) return kNoMac;
    if (options[0] == nd::kSourceMac && mac == kNoMac) mac = LoadBe48(&options[nd::kOptionMac]);
    options = options.subspan(bytes);
  }
  return mac;
}

bool IsToSolicitedNode(const uint8_t* destination, const uint8_t* target) {
  constexpr size_t kFixed = sizeof kSolicitedNode;
  return std::memcmp(destination, kSolicitedNode, kFixed) == 0 &&
         std::memcmp(destination + kFixed, target + kFixed, kIpv6AddressBytes - kFixed) == 0;
}

Question ReadSolicitation(std::span<const uint8_t> frame) {
  if (frame.size() < kEthernetBytes + kIpv6Bytes + nd::kBytes) return {};
  const uint8_t* ip = &frame[kEthernetBytes];
  const uint32_t size = LoadBe16(ip + ipv6::kPayloadLength);
  if (ip[0] >> 4 != 6 || ip[ipv6::kNextHeader] != nd::kIcmpV6 || size < nd::kBytes ||
      size > frame.size() - kEthernetBytes - kIpv6Bytes || ip[ipv6::kHopLimit] != nd::kHopLimit) {
    return {};
  }
  const std::span<const uint8_t> message = frame.subspan(kEthernetBytes + kIpv6Bytes, size);
  const uint8_t* target = &message[nd::kTarget];
  if (message[nd::kType] != nd::kSolicitation || message[nd::kCode] != 0 ||
      target[0] == kMulticast || MessageSum(ip, message) != 0xffff) {
    return {};
  }
  const uint8_t* asker = ip + ipv6::kAddresses;
  // Without a sender it asks whether the target is free: RFC 4862 §5.4.
  if (asker[0] == kMulticast || IsZero(std::span(asker, kIpv6AddressBytes))) return {};
  if (!IsToSolicitedNode(asker + kIpv6AddressBytes, target)) return {};
  const Mac source = LoadBe48(&frame[ethernet::kSource]);
  if (SourceMacIn(message.subspan(nd::kBytes)) != source) return {};
  return {Question::Kind::kSolicitation, KeyOfIpv6(target)};
}

// The frame's header: to whom has asked, from whom has been asked for.
void WriteEthernet(const uint8_t* frame, Mac mac, uint16_t type, uint8_t* answer) {
  std::memcpy(answer + ethernet::kDestination, frame + ethernet::kSource, kMacBytes);
  StoreBe48(answer + ethernet::kSource, mac);
  StoreBe16(answer + ethernet::kAddressesBytes, type);
}

uint32_t WriteArp(const uint8_t* frame, Mac mac, uint8_t* answer) {
  WriteEthernet(frame, mac, kEtherTypeArp, answer);
  const uint8_t* asked = frame + kEthernetBytes;
  uint8_t* packet = answer + kEthernetBytes;
  StoreBe64(packet + arp::kHead, arp::kReply);
  StoreBe48(packet + arp::kSenderMac, mac);
  StoreBe32(packet + arp::kSenderIp, LoadBe32(asked + arp::kTargetIp));
  std::memcpy(packet + arp::kTargetMac, frame + ethernet::kSource, kMacBytes);
  StoreBe32(packet + arp::kTargetIp, LoadBe32(asked + arp::kSenderIp));
  return kEthernetBytes + arp::kBytes;
}

uint32_t WriteAdvertisement(const uint8_t* frame, Mac mac, uint8_t* answer) {
  constexpr uint32_t kSize = nd::kBytes + nd::kOptionUnit;
  WriteEthernet(frame, mac, kEtherTypeIpv6, answer);
  const uint8_t* asked = frame + kEthernetBytes;
  uint8_t* ip = answer + kEthernetBytes;
  uint8_t* message = ip + kIpv6Bytes;
  uint8_t* option = message + nd::kBytes;
  const uint8_t* target = asked + kIpv6Bytes + nd::kTarget;
  StoreBe32(ip, 0x60000000);
  StoreBe16(ip + ipv6::kPayloadLength, kSize);
  ip[ipv6::kNextHeader] = nd::kIcmpV6;
  ip[ipv6::kHopLimit] = nd::kHopLimit;
  std::memcpy(ip + ipv6::kAddresses, target, kIpv6AddressBytes);
  std::memcpy(ip + ipv6::kAddresses + kIpv6AddressBytes, asked + ipv6::kAddresses,
              kIpv6AddressBytes);
  std::memset(message, 0, nd::kBytes);
  message[nd::kType] = nd::kAdvertisement;
  // As the station itself would; not a router, as no row says that one is.
  message[nd::kFlags] = nd::kSolicited | nd::kOverride;
  std::memcpy(message + nd::kTarget, target, kIpv6AddressBytes);
  option[0] = nd::kTargetMac;
  option[1] = 1;
  StoreBe48(option + nd::kOptionMac, mac);
  StoreNative(message + nd::kChecksum,
              static_cast<uint16_t>(~MessageSum(ip, std::span(message, kSize))));
  return kEthernetBytes + kIpv6Bytes + kSize;
}

}  // namespace

Question ReadQuestion(std::span<const uint8_t> frame) {
  const uint16_t type = LoadBe16(&frame[ethernet::kAddressesBytes]);
  if (type == kEtherTypeArp) return ReadArp(frame);
  if (type == kEtherTypeIpv6) return ReadSolicitation(frame);
  return {};
}

uint32_t WriteAnswer(const Question& question, const uint8_t* frame, Mac mac, uint8_t* answer) {
  return question.kind == Question::Kind::kArp ? WriteArp(frame, mac, answer)
                                               : WriteAdvertisement(frame, mac, answer);
}

}  // namespace weft
