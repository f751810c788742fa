#pragma once

#include <optional>
#include <string>

#include "../core/tables.hpp"

// Textual underlay addresses, as TypeScript knows them, to and from what sockets take.
namespace weft {

// An IPv4 or IPv6 literal without zone; nothing if it is neither.
std::optional<SocketAddress> ParseAddress(const std::string& text, uint16_t port);

struct TextAddress {
  std::string address;
  uint16_t port;
};

TextAddress FormatAddress(const SocketAddress& address);

}  // namespace weft
