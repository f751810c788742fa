#pragma once

#include <cstdint>

// Messages that ask for, and tell, the MAC of an address: offsets from their start, and values.
namespace weft {

// RFC 826, for IPv4 over Ethernet.
namespace arp {
constexpr uint32_t kHead = 0;
// Without the operation.
constexpr uint64_t kAnyHead = 0x000108000604;
constexpr uint64_t kRequest = 0x0001080006040001;
constexpr uint64_t kReply = 0x0001080006040002;
constexpr uint32_t kSenderMac = 8;
constexpr uint32_t kSenderIp = 14;
constexpr uint32_t kTargetMac = 18;
constexpr uint32_t kTargetIp = 24;
constexpr uint32_t kBytes = 28;
}  // namespace arp

// RFC 4861 §4.3, §4.4, and §4.6.1 for the options.
namespace nd {
constexpr uint8_t kIcmpV6 = 58;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint8_t kHopLimit = 255;
constexpr uint32_t kType = 0;
constexpr uint32_t kCode = 1;
constexpr uint32_t kChecksum = 2;
constexpr uint32_t kFlags = 4;
constexpr uint32_t kTarget = 8;
constexpr uint32_t kBytes = 24;
constexpr uint8_t kSolicited = 0x40;
constexpr uint8_t kOverride = 0x20;
constexpr uint8_t kSourceMac = 1;
constexpr uint8_t kTargetMac = 2;
constexpr uint32_t kOptionUnit = 8;
constexpr uint32_t kOptionMac = 2;
}  // namespace nd

}  // namespace weft
