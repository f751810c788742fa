#include "routes.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weft {
namespace {

struct Request {
  nlmsghdr header;
  rtmsg route;
  rtattr destination_header;
  uint32_t destination;
  rtattr source_header;
  uint32_t source;
};
static_assert(sizeof(Request) == NLMSG_HDRLEN + sizeof(rtmsg) + 2 * (sizeof(rtattr) + 4));

Request MakeRequest(uint32_t destination, uint32_t source) {
  Request request{};
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_len =
      source == 0 ? offsetof(Request, source_header) : static_cast<uint32_t>(sizeof request);
  request.route.rtm_family = AF_INET;
  request.route.rtm_dst_len = 32;
  request.destination_header = {sizeof(rtattr) + 4, RTA_DST};
  request.destination = destination;
  request.route.rtm_src_len = source == 0 ? 0 : 32;
  request.source_header = {sizeof(rtattr) + 4, RTA_SRC};
  request.source = source;
  return request;
}

int ReadRoute(const nlmsghdr* answer, size_t bytes, Route& route) {
  if (!NLMSG_OK(answer, bytes)) return -EPROTO;
  if (answer->nlmsg_type == NLMSG_ERROR) {
    return static_cast<const nlmsgerr*>(NLMSG_DATA(answer))->error;
  }
  const auto* message = static_cast<const rtmsg*>(NLMSG_DATA(answer));
  if (answer->nlmsg_type != RTM_NEWROUTE || message->rtm_type != RTN_UNICAST) return -EHOSTUNREACH;
  auto rest = static_cast<int>(RTM_PAYLOAD(answer));
  for (const rtattr* at = RTM_RTA(message); RTA_OK(at, rest); at = RTA_NEXT(at, rest)) {
    if (RTA_PAYLOAD(at) != sizeof(uint32_t)) continue;
    if (at->rta_type == RTA_OIF) std::memcpy(&route.ifindex, RTA_DATA(at), sizeof route.ifindex);
    if (at->rta_type == RTA_PREFSRC) std::memcpy(&route.source, RTA_DATA(at), sizeof route.source);
  }
  return route.ifindex == 0 || route.source == 0 ? -EHOSTUNREACH : 0;
}

}  // namespace

int FindRoute(uint32_t destination, uint32_t source, Route& route) {
  const OwnedFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.is_open()) return -errno;
  const Request request = MakeRequest(destination, source);
  if (send(fd.get(), &request, request.header.nlmsg_len, 0) < 0) return -errno;
  alignas(nlmsghdr) char answer[4096];
  const ssize_t bytes = recv(fd.get(), answer, sizeof answer, 0);
  if (bytes < 0) return -errno;
  route = Route{0, source};
  return ReadRoute(reinterpret_cast<const nlmsghdr*>(answer), static_cast<size_t>(bytes), route);
}

int OpenRouteWatch() {
  OwnedFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd.is_open()) return -errno;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return -errno;
  return fd.Release();
}

void DrainRouteWatch(int fd) {
  char ignored[8192];
  // An overrun is a change like any other, and said once.
  while (recv(fd, ignored, sizeof ignored, 0) >= 0 || errno == ENOBUFS) continue;
}

}  // namespace weft
