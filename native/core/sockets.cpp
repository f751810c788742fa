#include "sockets.hpp"

#include <linux/udp.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <utility>

#include "endian.hpp"

namespace weft {
namespace {

// Nothing is ever read from a socket that only sends.
constexpr int kUnusedBufferBytes = 4096;

bool SetInt(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void SetBuffer(int fd, int force_option, int option, int bytes) {
  // Beyond net.core.rmem_max only a privileged process may go.
  if (!SetInt(fd, SOL_SOCKET, force_option, bytes)) SetInt(fd, SOL_SOCKET, option, bytes);
}

// The path MTU is the link layer's business: an outer packet is never fragmented, and a stale
// cached MTU does not stop a probe.
void SetDontFragment(int fd, bool is_ipv6) {
  if (is_ipv6) {
    SetInt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    SetInt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
  } else {
    SetInt(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  }
}

uint16_t PortOf(const SocketAddress& address) {
  return BigEndian16(reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

SocketAddress WithPort(SocketAddress address, uint16_t port) {
  // sin_port and sin6_port lie at the same offset.
  reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = BigEndian16(port);
  return address;
}

// A bound socket, or one that is not open with errno set.
OwnedFd OpenUdp(const SocketAddress& address, bool is_shared) {
  OwnedFd fd(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return fd;
  if (address.is_ipv6()) SetInt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  SetDontFragment(fd.get(), address.is_ipv6());
  SetBuffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSocketBufferBytes);
  if (is_shared) SetInt(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (bind(fd.get(), address.get(), address.size) != 0) {
    const int error = errno;
    fd = OwnedFd();
    errno = error;
  }
  return fd;
}

uint16_t BoundPort(int fd) {
  SocketAddress local;
  local.size = sizeof local.storage;
  getsockname(fd, local.get(), &local.size);
  return PortOf(local);
}

int ReceiveBufferBytes(int fd) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &size);
  return bytes;
}

OwnedFd OpenReceiver(const SocketAddress& address, bool is_shared, bool& has_gro) {
  OwnedFd fd = OpenUdp(address, is_shared);
  if (!fd.is_open()) return fd;
  SetBuffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, kSocketBufferBytes);
  has_gro = SetInt(fd.get(), IPPROTO_UDP, UDP_GRO, 1);
  // DSCP and ECN of what comes (ecn.hpp).
  if (address.is_ipv6()) {
    SetInt(fd.get(), IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  } else {
    SetInt(fd.get(), IPPROTO_IP, IP_RECVTOS, 1);
  }
  return fd;
}

// Opens sockets that share `port`, or says false with errno set. A port of 0 becomes the one that
// the kernel chose. The first is bound before it may share, so that a port that another process has
// is refused, whether that one shares or not.
bool OpenGroup(const SocketAddress& address, std::span<OwnedFd> sockets, uint16_t& port,
               bool& has_gro) {
  for (OwnedFd& socket : sockets) {
    const bool is_first = &socket == sockets.data();
    socket = OpenReceiver(WithPort(address, port), !is_first, has_gro);
    if (!socket.is_open()) return false;
    port = BoundPort(socket.get());
    if (is_first && sockets.size() > 1) SetInt(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  }
  return true;
}

}  // namespace

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

int OwnedFd::Release() { return std::exchange(fd_, -1); }

Sockets::Failure Sockets::Open(std::span<const SocketAddress> addresses, uint16_t mesh_port,
                               uint16_t vxlan_port, uint32_t threads) {
  assert(addresses.size() <= kMaxBinds && threads >= 1 && threads <= kMaxThreads);
  for (uint32_t i = 0; i < addresses.size(); i++) {
    Bind& bound = binds_[i];
    bound.is_ipv6 = addresses[i].is_ipv6();
    bound.mesh_port = mesh_port;
    if (!OpenGroup(addresses[i], std::span(bound.mesh.data(), threads), bound.mesh_port,
                   bound.has_gro)) {
      return {errno, i, mesh_port};
    }
    mesh_port = bound.mesh_port;
    bound.vxlan_port = vxlan_port;
    if (!OpenGroup(addresses[i], std::span(bound.vxlan.data(), threads), bound.vxlan_port,
                   bound.has_gro)) {
      return {errno, i, vxlan_port};
    }
    vxlan_port = bound.vxlan_port;
    bound.receive_buffer_bytes = ReceiveBufferBytes(bound.vxlan[0].get());
    for (OwnedFd& sender : bound.senders) {
      sender = OpenUdp(WithPort(addresses[i], 0), false);
      if (!sender.is_open()) return {errno, i, 0};
      SetInt(sender.get(), SOL_SOCKET, SO_RCVBUF, kUnusedBufferBytes);
    }
    count_ = i + 1;
  }
  return {};
}

const Bind* Sockets::ForFamily(bool is_ipv6) const {
  for (const Bind& bound : binds()) {
    if (bound.is_ipv6 == is_ipv6) return &bound;
  }
  return nullptr;
}

}  // namespace weft
