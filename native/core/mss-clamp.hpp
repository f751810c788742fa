#pragma once

#include <cstdint>

#include "packet.hpp"

namespace weft {

// Lowers the maximum segment size that a TCP SYN announces (RFC 9293 §3.7.1) to what packets of
// `mtu` bytes hold behind headers without options: the other end may never hear that longer ones do
// not pass (RFC 2923 §2.1). Mends the checksum by the difference (RFC 1624), unless it
// `is_partial`: a sum over the pseudo header alone. Anything else is left as it is. `frame` is what
// `layers` was read from.
void ClampMss(uint8_t* frame, const Layers& layers, uint32_t mtu, bool is_partial);

}  // namespace weft
