#include "mss-clamp.hpp"

#include "checksum.hpp"
#include "endian.hpp"

namespace weft {
namespace {

constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionMss = 2;
constexpr uint32_t kMssOptionBytes = 4;
constexpr uint32_t kMssValueAt = 2;
constexpr uint32_t kKindAndLength = 2;

// Of the value, from the start of the TCP header; 0 if there is no such option.
uint32_t FindMss(const uint8_t* tcp, uint32_t header_bytes) {
  for (uint32_t at = kMinTcpBytes; at + kMssOptionBytes <= header_bytes;) {
    if (tcp[at] == kOptionEnd) return 0;
    if (tcp[at] == kOptionNop) {
      at++;
      continue;
    }
    if (tcp[at] == kOptionMss && tcp[at + 1] == kMssOptionBytes) return at + kMssValueAt;
    // A length below that of kind and length would lead nowhere.
    if (tcp[at + 1] < kKindAndLength) return 0;
    at += tcp[at + 1];
  }
  return 0;
}

}  // namespace

void ClampMss(uint8_t* frame, const Layers& layers, uint32_t mtu, bool is_partial) {
  if (layers.kind != FrameKind::kTcp) return;
  uint8_t* tcp = frame + layers.l4;
  if ((tcp[tcp::kFlags] & tcp::kSyn) == 0) return;
  const uint32_t at = FindMss(tcp, uint32_t{layers.payload} - layers.l4);
  const uint32_t headers = (layers.is_ipv6 ? kIpv6Bytes : kMinIpv4Bytes) + kMinTcpBytes;
  if (at == 0 || mtu <= headers || LoadBe16(tcp + at) <= mtu - headers) return;
  // The value may lie across two words of the sum: both are taken.
  const uint32_t words = at & ~1U;
  const uint32_t bytes = at == words ? 2 : 4;
  const uint16_t before = FoldSum(SumBytes(tcp + words, bytes));
  StoreBe16(tcp + at, static_cast<uint16_t>(mtu - headers));
  if (is_partial) return;
  const auto whole = static_cast<uint16_t>(~LoadNative<uint16_t>(tcp + tcp::kChecksum));
  const ChecksumSum sum = ChecksumSum{whole} + static_cast<uint16_t>(~before);
  StoreNative(tcp + tcp::kChecksum, FinishSum(SumBytes(tcp + words, bytes, sum)));
}

}  // namespace weft
