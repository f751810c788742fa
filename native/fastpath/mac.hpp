#pragma once

#include "../core/endian.hpp"
#include "../core/fdb.hpp"
#include "layout.h"

namespace weft {

inline void StoreMac(uint8_t (&to)[6], Mac mac) {
  StoreBe16(to, static_cast<uint16_t>(mac >> 32));
  StoreBe32(to + 2, static_cast<uint32_t>(mac));
}

inline weft_fdb_key KeyOfMac(uint32_t vni, Mac mac) {
  weft_fdb_key key{};
  key.vni = vni;
  StoreMac(key.mac, mac);
  return key;
}

}  // namespace weft
