#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

// Big-endian (network order) loads and stores on unaligned bytes: the only place that knows the
// byte order of this processor.
namespace weft {

constexpr uint16_t BigEndian16(uint16_t value) {
  return std::endian::native == std::endian::big ? value : __builtin_bswap16(value);
}

constexpr uint32_t BigEndian32(uint32_t value) {
  return std::endian::native == std::endian::big ? value : __builtin_bswap32(value);
}

constexpr uint64_t BigEndian64(uint64_t value) {
  return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}

// A value in this processor's own order, from bytes of any alignment.
template <typename T>
T LoadNative(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void StoreNative(uint8_t* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

inline uint16_t LoadBe16(const uint8_t* at) { return BigEndian16(LoadNative<uint16_t>(at)); }
inline uint32_t LoadBe32(const uint8_t* at) { return BigEndian32(LoadNative<uint32_t>(at)); }
inline uint64_t LoadBe64(const uint8_t* at) { return BigEndian64(LoadNative<uint64_t>(at)); }
inline uint32_t LoadBe24(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 16 | LoadBe16(at + 1);
}
inline uint64_t LoadBe48(const uint8_t* at) {
  return static_cast<uint64_t>(LoadBe16(at)) << 32 | LoadBe32(at + 2);
}

inline void StoreBe16(uint8_t* at, uint16_t value) { StoreNative(at, BigEndian16(value)); }
inline void StoreBe32(uint8_t* at, uint32_t value) { StoreNative(at, BigEndian32(value)); }
inline void StoreBe64(uint8_t* at, uint64_t value) { StoreNative(at, BigEndian64(value)); }
inline void StoreBe24(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 16);
  StoreBe16(at + 1, static_cast<uint16_t>(value));
}

}  // namespace weft
