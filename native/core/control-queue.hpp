#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "tables.hpp"

namespace weft {

// Control datagrams on their way from the forwarder's thread to the control thread: one writer, one
// reader, no lock, bounded bytes.
//
//   | size 4, unused 4 | sender 32 | datagram | padding to 8 |   bytes of a record; one that would
//                                                              cross the end starts at the
//                                                              beginning
class ControlQueue {
 public:
  static constexpr uint32_t kBytes = 1 << 20;

  // Copies a datagram in. False if there is no room.
  bool Push(std::span<const uint8_t> bytes, const SocketAddress& from) {
    const auto size = static_cast<uint32_t>(bytes.size());
    const uint32_t record = RecordBytes(size);
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    const uint32_t at = static_cast<uint32_t>(tail % kBytes);
    const uint32_t skip = at + record > kBytes ? kBytes - at : 0;
    if (tail + skip + record - head_.load(std::memory_order_acquire) > kBytes) return false;
    if (skip > 0) Store(at, kSkip);
    uint8_t* to = ring_.get() + (skip > 0 ? 0 : at);
    std::memcpy(to, &size, sizeof size);
    std::memcpy(to + kSenderAt, &from.storage, kSenderBytes);
    if (size > 0) std::memcpy(to + kHeaderBytes, bytes.data(), size);
    tail_.store(tail + skip + record, std::memory_order_release);
    return true;
  }

  // Calls receive(bytes, sender) for each waiting datagram; the bytes are valid during the call.
  template <typename Receive>
  void Drain(Receive receive) {
    uint64_t head = head_.load(std::memory_order_relaxed);
    while (head != tail_.load(std::memory_order_acquire)) {
      const uint32_t at = static_cast<uint32_t>(head % kBytes);
      uint32_t size;
      std::memcpy(&size, ring_.get() + at, sizeof size);
      if (size == kSkip) {
        head += kBytes - at;
        continue;
      }
      SocketAddress from;
      std::memcpy(&from.storage, ring_.get() + at + kSenderAt, kSenderBytes);
      from.size = from.is_ipv6() ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
      receive(std::span<const uint8_t>(ring_.get() + at + kHeaderBytes, size), from);
      head += RecordBytes(size);
      head_.store(head, std::memory_order_release);
    }
    head_.store(head, std::memory_order_release);
  }

 private:
  static constexpr uint32_t kSkip = UINT32_MAX;
  static constexpr uint32_t kSenderAt = 8;
  static constexpr uint32_t kSenderBytes = sizeof(sockaddr_in6);
  static constexpr uint32_t kHeaderBytes = 40;
  static_assert(kSenderAt + kSenderBytes <= kHeaderBytes);

  static uint32_t RecordBytes(uint32_t size) { return (kHeaderBytes + size + 7) / 8 * 8; }

  void Store(uint32_t at, uint32_t size) { std::memcpy(ring_.get() + at, &size, sizeof size); }

  std::unique_ptr<uint8_t[]> ring_ = std::make_unique<uint8_t[]>(kBytes);
  alignas(64) std::atomic<uint64_t> head_{0};
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace weft
