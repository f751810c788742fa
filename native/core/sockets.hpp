#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "gate.hpp"
#include "tables.hpp"

namespace weft {

// A file descriptor that closes with its owner.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.Release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int Release();

 private:
  int fd_ = -1;
};

// UDP sockets carry super-datagrams of up to 64 KiB: fewer than 16 MiB lose bursts.
constexpr int kSocketBufferBytes = 32 << 20;
// Senders of VXLAN: one UDP source port each, so that the underlay spreads flows over its paths
// (RFC 7348 §5) while each flow keeps to one.
constexpr uint32_t kSourcePorts = 16;
constexpr uint32_t kMaxBinds = 4;

// The sockets of one bound address.
struct Bind {
  // One for each thread, on the same port: the kernel chooses by the datagram's addresses and ports
  // (SO_REUSEPORT), so that what one UDP flow brings stays in order.
  std::array<OwnedFd, kMaxThreads> mesh;
  std::array<OwnedFd, kMaxThreads> vxlan;
  std::array<OwnedFd, kSourcePorts> senders;
  bool is_ipv6 = false;
  bool has_gro = false;
  uint16_t mesh_port = 0;
  uint16_t vxlan_port = 0;
  // What the kernel granted; Linux reports double the payload room.
  int receive_buffer_bytes = 0;
};

// All sockets of the data plane, in the order of the addresses asked for.
class Sockets {
 public:
  struct Failure {
    int error = 0;  // errno; 0 means success
    uint32_t address = 0;
    uint16_t port = 0;
  };

  // Ports of 0 are chosen by the kernel for the first address; the others get the same.
  Failure Open(std::span<const SocketAddress> addresses, uint16_t mesh_port, uint16_t vxlan_port,
               uint32_t threads);

  std::span<const Bind> binds() const { return std::span(binds_.data(), count_); }
  // Those that can reach an address of this family, or null.
  const Bind* ForFamily(bool is_ipv6) const;

 private:
  std::array<Bind, kMaxBinds> binds_;
  uint32_t count_ = 0;
};

}  // namespace weft
