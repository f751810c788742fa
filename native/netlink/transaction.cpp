#include "transaction.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "../tun/netns_scope.hpp"
#include "background.hpp"
#include "fd.hpp"
#include "link-watch.hpp"

namespace weft {

namespace {

constexpr size_t kReceiveBytes = 1 << 16;
// The kernel answers at once, but for what waits for its one lock.
constexpr time_t kPatienceSeconds = 10;

// The message of an extended acknowledgement (NLMSGERR_ATTR_MSG), if it has one.
std::string ExtendedMessage(const nlmsghdr* header) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* bytes = reinterpret_cast<const uint8_t*>(header);
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
  size_t at = NLMSG_LENGTH(sizeof(nlmsgerr));
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    at += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  while (at + sizeof(nlattr) <= header->nlmsg_len) {
    nlattr attribute{};
    std::memcpy(&attribute, bytes + at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > header->nlmsg_len) break;
    if (attribute.nla_type == NLMSGERR_ATTR_MSG) {
      const auto* text = reinterpret_cast<const char*>(bytes + at + sizeof attribute);
      return std::string(text, strnlen(text, attribute.nla_len - sizeof attribute));
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
  return {};
}

// A request that is sent by another thread; `outcome` is to be read when `ended` can be.
struct Asking {
  explicit Asking(NetlinkStep step) : ended(eventfd(0, EFD_CLOEXEC)) {
    step.removes.clear();
    steps.push_back(std::move(step));
  }

  Fd ended;
  std::vector<NetlinkStep> steps;
  NetlinkOutcome outcome;
};

class Transaction {
 public:
  explicit Transaction(NetlinkOutcome* outcome) : outcome_(outcome) {}

  void Run(std::vector<NetlinkStep>& steps) {
    const Fd socket(Open());
    if (socket.get() < 0) return Fail(errno);
    for (size_t index = 0; index < steps.size(); index++) {
      outcome_->failed_at = static_cast<int>(index);
      outcome_->replies.emplace_back();
      NetlinkStep& step = steps[index];
      const bool is_done = step.message.empty()   ? Write(step)
                           : step.removes.empty() ? Send(socket.get(), step, index + 1)
                                                  : Remove(socket.get(), step, index + 1);
      if (!is_done) return;
    }
  }

 private:
  static int Open() {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const int on = 1;
    const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
    // Without any it still works: less is said of refusals, the kernel tells all tables of routes
    // where one was asked for, or a kernel that hangs hangs us.
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }

  void Fail(int error, const std::string& why = {}) {
    outcome_->error = error;
    outcome_->why = why.empty() ? strerror(error) : why;
  }

  bool Write(const NetlinkStep& step) {
    const Fd file(open(step.path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() >= 0 && write(file.get(), step.value.data(), step.value.size()) >= 0) {
      return true;
    }
    Fail(errno);
    return false;
  }

  // A link is gone within a millisecond. The kernel answers who asked for it when no processor can
  // be looking at it any more and its memory is free, 15 to 40 ms later. That is nothing to wait
  // for: a thread of its own does.
  bool Remove(int fd, NetlinkStep& step, size_t sequence) {
    const LinkWatch watch(step.removes);
    auto asking = std::make_shared<Asking>(step);
    const bool is_begun = watch.is_on() && asking->ended.get() >= 0 && RunInBackground([asking] {
                            Transaction(&asking->outcome).Run(asking->steps);
                            eventfd_write(asking->ended.get(), 1);
                          });
    if (!is_begun) return Send(fd, step, sequence);
    if (watch.AwaitEnd(asking->ended.get())) return true;
    pollfd ended{.fd = asking->ended.get(), .events = POLLIN, .revents = 0};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR) continue;
    if (asking->outcome.error == 0) return true;
    Fail(asking->outcome.error, asking->outcome.why);
    return false;
  }

  bool Send(int fd, NetlinkStep& step, size_t sequence) {
    std::vector<int> opened;
    bool is_sent = Patch(step, &opened);
    if (is_sent) {
      auto* header = reinterpret_cast<nlmsghdr*>(step.message.data());
      header->nlmsg_seq = static_cast<uint32_t>(sequence);
      is_sent = send(fd, step.message.data(), step.message.size(), 0) >= 0;
      if (!is_sent) Fail(errno);
      is_sent = is_sent && Receive(fd, header->nlmsg_seq);
    }
    for (const int each : opened) close(each);
    return is_sent;
  }

  bool Patch(NetlinkStep& step, std::vector<int>* opened) {
    for (const NetlinkPatch& patch : step.patches) {
      uint32_t value = 0;
      if (patch.kind == NetlinkPatch::Kind::kInterfaceIndex) {
        value = if_nametoindex(patch.text.c_str());
        if (value == 0) {
          Fail(errno, "Cannot find device \"" + patch.text + "\"");
          return false;
        }
      } else {
        const int target = open(patch.text.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (target < 0) {
          Fail(errno);
          return false;
        }
        opened->push_back(target);
        value = static_cast<uint32_t>(target);
      }
      std::memcpy(step.message.data() + patch.at, &value, sizeof value);
    }
    return true;
  }

  // Up to the acknowledgement, or the end of a dump.
  bool Receive(int fd, uint32_t sequence) {
    static thread_local std::array<uint8_t, kReceiveBytes> buffer;
    for (;;) {
      const ssize_t size = recv(fd, buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) {
        Fail(errno == EAGAIN ? ETIMEDOUT : errno);
        return false;
      }
      auto left = static_cast<size_t>(size);
      for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
           NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_seq != sequence) continue;
        // The links changed while they were told: what came is no picture of any moment.
        if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) is_torn_ = true;
        if (header->nlmsg_type == NLMSG_DONE) return EndDump(header);
        if (header->nlmsg_type == NLMSG_ERROR) return Acknowledge(header);
        const auto* bytes = reinterpret_cast<const uint8_t*>(header);
        auto& reply = outcome_->replies.back();
        reply.insert(reply.end(), bytes, bytes + NLMSG_ALIGN(header->nlmsg_len));
      }
    }
  }

  bool EndDump(const nlmsghdr* header) {
    int status = 0;
    if (header->nlmsg_len >= NLMSG_LENGTH(sizeof status)) {
      std::memcpy(&status, NLMSG_DATA(header), sizeof status);
    }
    if (status >= 0 && is_torn_) status = -EAGAIN;
    if (status >= 0) return true;
    Fail(-status);
    return false;
  }

  bool Acknowledge(const nlmsghdr* header) {
    const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
    if (error == 0) return true;
    Fail(error, ExtendedMessage(header));
    return false;
  }

  NetlinkOutcome* outcome_;
  bool is_torn_ = false;
};

}  // namespace

NetlinkOutcome PerformNetlink(const std::string& netns, std::vector<NetlinkStep> steps) {
  NetlinkOutcome outcome;
  const NetnsScope scope(netns);
  if (scope.error() != 0) {
    outcome.error = scope.error();
    outcome.why = strerror(scope.error());
    return outcome;
  }
  Transaction(&outcome).Run(steps);
  return outcome;
}

}  // namespace weft
