#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>

#include "../core/tables.hpp"

namespace weft::test {

// An IPv4 address as sockets take it, for tests that talk to themselves.
inline SocketAddress Loopback(const char* text, uint16_t port) {
  SocketAddress address;
  auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
  in->sin_family = AF_INET;
  in->sin_port = htons(port);
  inet_pton(AF_INET, text, &in->sin_addr);
  address.size = sizeof *in;
  return address;
}

}  // namespace weft::test
