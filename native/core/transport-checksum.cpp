#include "transport-checksum.hpp"

namespace weft {

ChecksumSum TransportPseudoSum(const uint8_t* frame, const Layers& layers, uint32_t l4_bytes) {
  const uint8_t* addresses =
      frame + layers.l3 + (layers.is_ipv6 ? ipv6::kAddresses : ipv4::kAddresses);
  return PseudoHeaderSum(addresses, layers.is_ipv6, layers.protocol(),
                         static_cast<uint16_t>(l4_bytes));
}

bool IsTransportChecksumRight(const uint8_t* frame, const Layers& layers) {
  const uint32_t l4_bytes = layers.end - layers.l4;
  const ChecksumSum pseudo = TransportPseudoSum(frame, layers, l4_bytes);
  return FoldSum(SumBytes(frame + layers.l4, l4_bytes, pseudo)) == 0xffff;
}

bool IsTransportChecksumPartial(const uint8_t* frame, const Layers& layers) {
  const auto field = LoadNative<uint16_t>(frame + layers.l4 + layers.checksum_offset());
  const uint16_t pseudo = FoldSum(TransportPseudoSum(frame, layers, layers.end - layers.l4));
  return field == pseudo && !IsTransportChecksumRight(frame, layers);
}

void CompleteTransportChecksum(std::span<uint8_t> frame) {
  const Layers layers = ParseFrame(frame);
  if (!layers.has_ports()) return;
  const ChecksumSum sum = SumBytes(frame.data() + layers.l4, layers.end - layers.l4);
  StoreNative(frame.data() + layers.l4 + layers.checksum_offset(), FinishSum(sum));
}

}  // namespace weft
