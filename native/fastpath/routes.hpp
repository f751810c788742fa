#pragma once

#include <cstdint>

#include "../core/sockets.hpp"

// What the kernel's routing says of the underlay, by rtnetlink. IPv4 addresses in network order.
namespace weft {

struct Route {
  uint32_t ifindex = 0;
  // The address that packets on this route leave from.
  uint32_t source = 0;
};

// How packets for `destination` leave this host; `source` is the address to send from, or 0 for
// what the kernel chooses. 0, or a negative errno: -EHOSTUNREACH also for what is no unicast route.
int FindRoute(uint32_t destination, uint32_t source, Route& route);

// A socket that is readable when a link, an IPv4 address, route or rule has changed. Negative errno
// if there is none.
int OpenRouteWatch();
// Empties it.
void DrainRouteWatch(int fd);

}  // namespace weft
