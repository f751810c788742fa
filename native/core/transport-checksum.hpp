#pragma once

#include <span>

#include "checksum.hpp"
#include "packet.hpp"

// Checksums of TCP and UDP as they stand in a frame. All need layers.has_ports().
namespace weft {

// Sum of the pseudo header for a transport part of that many bytes.
ChecksumSum TransportPseudoSum(const uint8_t* frame, const Layers& layers, uint32_t l4_bytes);

bool IsTransportChecksumRight(const uint8_t* frame, const Layers& layers);

// Whether the field holds no checksum but the pseudo header's sum. A kernel VXLAN device leaves it
// so where its underlay is virtual (veth, virtio within one machine), trusting that hardware or the
// receiver's metadata will do, and a UDP socket does not pass that metadata on. A frame damaged on
// a real wire looks like this as seldom as it passes a checksum by chance, once in 65536.
bool IsTransportChecksumPartial(const uint8_t* frame, const Layers& layers);

// Completes a field that holds the pseudo header's sum; a frame without ports is left alone.
void CompleteTransportChecksum(std::span<uint8_t> frame);

}  // namespace weft
