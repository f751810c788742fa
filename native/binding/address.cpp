#include "address.hpp"

#include <arpa/inet.h>

#include "../core/endian.hpp"

namespace weft {

std::optional<SocketAddress> ParseAddress(const std::string& text, uint16_t port) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = BigEndian16(port);
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) != 1) return std::nullopt;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = BigEndian16(port);
  address.size = sizeof *v6;
  return address;
}

TextAddress FormatAddress(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  const void* bytes = address.is_ipv6() ? static_cast<const void*>(&v6->sin6_addr) : &v4->sin_addr;
  inet_ntop(address.storage.ss_family, bytes, text, sizeof text);
  return {text, BigEndian16(v4->sin_port)};
}

}  // namespace weft
