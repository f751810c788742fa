#include "link-watch.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace weft {

namespace {

constexpr size_t kReplyBytes = 1 << 14;
// The kernel needs some 0.7 ms; where it waits for its lock, it may need long.
constexpr long kFirstLookNs = 100'000;
constexpr long kLastLookNs = 1'000'000;

struct Question {
  nlmsghdr header;
  ifinfomsg link;
  rtattr attribute;
  std::array<char, IFNAMSIZ> name;
};
static_assert(sizeof(Question) == NLMSG_LENGTH(sizeof(ifinfomsg)) + RTA_LENGTH(IFNAMSIZ));

// if_nametoindex(3) would have the kernel look for a module where there is no link of the name.
int IndexOf(const std::string& name) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = RTM_GETLINK;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  question.attribute.rta_len = RTA_LENGTH(IFNAMSIZ);
  question.attribute.rta_type = IFLA_IFNAME;
  if (name.size() >= question.name.size()) return 0;
  std::memcpy(question.name.data(), name.data(), name.size());
  if (send(socket.get(), &question, sizeof question, 0) < 0) return 0;
  alignas(nlmsghdr) std::array<char, kReplyBytes> reply;
  // The answer lies there: the kernel has put it there before send(2) returned.
  const ssize_t size = recv(socket.get(), reply.data(), reply.size(), MSG_DONTWAIT);
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
  if (size < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(ifinfomsg)))) return 0;
  if (header->nlmsg_type != RTM_NEWLINK) return 0;
  return static_cast<const ifinfomsg*>(NLMSG_DATA(header))->ifi_index;
}

}  // namespace

LinkWatch::LinkWatch(const std::string& name)
    : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      index_(socket_.get() < 0 ? 0 : IndexOf(name)) {}

bool LinkWatch::AwaitEnd(int other) const {
  pollfd ended{.fd = other, .events = POLLIN, .revents = 0};
  for (long wait = kFirstLookNs;; wait = std::min(2 * wait, kLastLookNs)) {
    const timespec timeout{.tv_sec = 0, .tv_nsec = wait};
    if (ppoll(&ended, 1, &timeout, nullptr) > 0) return false;
    if (!IsThere()) return true;
  }
}

bool LinkWatch::IsThere() const {
  ifreq request{};
  request.ifr_ifindex = index_;
  return ioctl(socket_.get(), SIOCGIFNAME, &request) == 0 || errno != ENODEV;
}

}  // namespace weft
