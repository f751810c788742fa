#include "tun_device.hpp"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "netns_scope.hpp"

namespace weft {

namespace {

// The longest that the kernel hands over at once: a 64 KiB segment, its Ethernet header and VLAN
// tag, and a virtio-net header, rounded up.
constexpr std::size_t kSpillBytes = 65536 + 256;

ifreq NamedRequest(const std::string& name) {
  ifreq request{};
  const std::size_t length = std::min(name.size(), sizeof(request.ifr_name) - 1);
  std::memcpy(request.ifr_name, name.data(), length);
  return request;
}

// A queue whose device was deleted says EBADFD, which libuv has no name for.
int LastError() { return errno == EBADFD ? ENODEV : errno; }

int Ioctl(int fd, unsigned long command, void* argument) {
  return ioctl(fd, command, argument) < 0 ? -LastError() : 0;
}

int IoctlValue(int fd, unsigned long command, unsigned long value) {
  return ioctl(fd, command, value) < 0 ? -LastError() : 0;
}

// A netlink socket serves both purposes: any socket takes the SIOC*IF* ioctls for its namespace,
// and this one also tells when a link changes.
int OpenControl() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (fd < 0) return -errno;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

bool Exists(int control, const std::string& name) {
  ifreq request = NamedRequest(name);
  return Ioctl(control, SIOCGIFINDEX, &request) == 0;
}

short QueueFlags(const TunOptions& options) {
  int flags = IFF_NO_PI | (options.tap ? IFF_TAP : IFF_TUN);
  if (options.multi_queue) flags |= IFF_MULTI_QUEUE;
  if (options.vnet_header_bytes > 0) flags |= IFF_VNET_HDR;
  return static_cast<short>(flags);
}

ssize_t RetryWrite(int fd, const void* data, std::size_t length) {
  ssize_t written;
  do {
    written = write(fd, data, length);
  } while (written < 0 && errno == EINTR);
  return written;
}

}  // namespace

TunFailure TunDevice::Open(const TunOptions& options) {
  if (!queues_.empty()) return {"attach", EBUSY};
  const NetnsScope scope(options.netns);
  if (scope.error() != 0) return {"netns", scope.error()};
  control_ = OpenControl();
  if (control_ < 0) return {"socket", -control_};
  TunFailure failure{};
  if (options.must_exist && !Exists(control_, options.name)) {
    failure = {"attach", ENODEV};
  } else {
    failure = OpenQueues(options);
  }
  if (failure.step == nullptr) failure = ConfigureHeader(options);
  if (failure.step == nullptr) failure = FindIndex();
  if (failure.step != nullptr) {
    Close();
    return failure;
  }
  spill_ = std::make_unique<std::uint8_t[]>(kSpillBytes);
  return {};
}

TunFailure TunDevice::OpenQueues(const TunOptions& options) {
  std::string name = options.name;
  for (unsigned queue = 0; queue < options.queues; queue++) {
    const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return {"clone", errno};
    queues_.push_back(fd);
    ifreq request = NamedRequest(name);
    request.ifr_flags = QueueFlags(options);
    const int error = -Ioctl(fd, TUNSETIFF, &request);
    // The kernel says EINVAL for a bad name and for a device of another kind alike.
    if (error == EINVAL && Exists(control_, name)) return {"attach", EEXIST};
    if (error != 0) return {"attach", error};
    name = request.ifr_name;
  }
  return {};
}

TunFailure TunDevice::FindIndex() {
  ifreq data{};
  const int error = -NamedIoctl(SIOCGIFINDEX, &data);
  if (error != 0) return {"attach", error};
  index_ = data.ifr_ifindex;
  return {};
}

TunFailure TunDevice::ConfigureHeader(const TunOptions& options) const {
  if (options.vnet_header_bytes == 0) return {};
  int bytes = options.vnet_header_bytes;
  const int error = -Ioctl(queues_[0], TUNSETVNETHDRSZ, &bytes);
  if (error != 0) return {"vnet-header", error};
  const int refused = -IoctlValue(queues_[0], TUNSETOFFLOAD, options.offloads);
  if (refused != 0) return {"offloads", refused};
  return {};
}

void TunDevice::Close() {
  for (const int fd : queues_) close(fd);
  queues_.clear();
  if (control_ >= 0) close(control_);
  control_ = -1;
}

bool TunDevice::DrainLinkEvents() const {
  // Of each event, the link that it is about; the kernel puts one into a datagram.
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } event{};
  bool has_changed = false;
  for (;;) {
    const ssize_t bytes = recv(control_, &event, sizeof event, MSG_TRUNC);
    if (bytes < 0 && errno == EINTR) continue;
    // Events were lost, any of which may have been the device's; the queue is drained further.
    if (bytes < 0 && errno != ENOBUFS) return has_changed;
    const bool is_known = bytes >= static_cast<ssize_t>(sizeof event);
    has_changed |= !is_known || event.link.ifi_index == index_;
  }
}

int TunDevice::GetName(std::string* name) const {
  if (queues_.empty()) return -EBADF;
  ifreq request{};
  const int result = Ioctl(queues_[0], TUNGETIFF, &request);
  if (result == 0) *name = request.ifr_name;
  return result;
}

int TunDevice::NamedIoctl(unsigned long request, ifreq* data) const {
  std::string name;
  const int result = GetName(&name);
  if (result < 0) return result;
  std::memcpy(data->ifr_name, name.c_str(), name.size() + 1);
  return Ioctl(control_, request, data);
}

int TunDevice::GetMtu() const {
  ifreq data{};
  const int result = NamedIoctl(SIOCGIFMTU, &data);
  return result < 0 ? result : data.ifr_mtu;
}

int TunDevice::SetMtu(int mtu) const {
  ifreq data{};
  data.ifr_mtu = mtu;
  return NamedIoctl(SIOCSIFMTU, &data);
}

int TunDevice::GetQueueFrames() const {
  ifreq data{};
  const int result = NamedIoctl(SIOCGIFTXQLEN, &data);
  return result < 0 ? result : data.ifr_qlen;
}

int TunDevice::SetQueueFrames(int frames) const {
  ifreq data{};
  data.ifr_qlen = frames;
  return NamedIoctl(SIOCSIFTXQLEN, &data);
}

int TunDevice::GetMac(MacBytes* mac) const {
  ifreq data{};
  const int result = NamedIoctl(SIOCGIFHWADDR, &data);
  if (result == 0) std::memcpy(mac->data(), data.ifr_hwaddr.sa_data, mac->size());
  return result;
}

int TunDevice::SetMac(const MacBytes& mac) const {
  ifreq data{};
  data.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(data.ifr_hwaddr.sa_data, mac.data(), mac.size());
  return NamedIoctl(SIOCSIFHWADDR, &data);
}

int TunDevice::GetFlags() const {
  ifreq data{};
  const int result = NamedIoctl(SIOCGIFFLAGS, &data);
  return result < 0 ? result : static_cast<unsigned short>(data.ifr_flags);
}

int TunDevice::SetUp(bool up) const {
  const int flags = GetFlags();
  if (flags < 0) return flags;
  ifreq data{};
  data.ifr_flags = static_cast<short>(up ? flags | IFF_UP : flags & ~IFF_UP);
  return NamedIoctl(SIOCSIFFLAGS, &data);
}

int TunDevice::IsPersistent() const {
  if (queues_.empty()) return -EBADF;
  ifreq request{};
  const int result = Ioctl(queues_[0], TUNGETIFF, &request);
  if (result < 0) return result;
  return (request.ifr_flags & IFF_PERSIST) != 0 ? 1 : 0;
}

int TunDevice::SetPersistent(bool on) const {
  return queues_.empty() ? -EBADF : IoctlValue(queues_[0], TUNSETPERSIST, on ? 1 : 0);
}

int TunDevice::Read(const FrameSlots& slots) {
  if (queues_.empty()) return -EBADF;
  if (!slots.IsSound()) return -EINVAL;
  std::size_t filled = 0;
  int error = 0;
  // Each call starts one queue further on, so that a busy queue does not starve the others.
  for (std::size_t turn = 0; turn < queues_.size() && filled < slots.count; turn++) {
    filled = ReadQueue(queues_[(next_queue_ + turn) % queues_.size()], slots, filled, &error);
  }
  next_queue_ = (next_queue_ + 1) % queues_.size();
  return filled == 0 && error == ENODEV ? -ENODEV : static_cast<int>(filled);
}

std::size_t TunDevice::ReadQueue(int fd, const FrameSlots& slots, std::size_t filled, int* error) {
  while (filled < slots.count) {
    const iovec parts[2] = {{slots.Frame(filled), slots.room()}, {spill_.get(), kSpillBytes}};
    const ssize_t length = readv(fd, parts, 2);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) {
      *error = LastError();
      break;
    }
    slots.lengths[filled++] = static_cast<std::uint32_t>(length);
  }
  return filled;
}

int TunDevice::Write(const FrameSlots& slots) const {
  if (queues_.empty()) return -EBADF;
  if (!slots.IsSound()) return -EINVAL;
  int taken = 0;
  for (std::size_t slot = 0; slot < slots.count; slot++) {
    const std::size_t length = slots.lengths[slot];
    // Longer than the room: it was cut when it was read, and half a frame is no frame.
    if (length > slots.room()) continue;
    if (RetryWrite(queues_[0], slots.Frame(slot), length) >= 0) {
      taken++;
    } else if (LastError() == ENODEV) {
      return taken == 0 ? -ENODEV : taken;
    }
  }
  return taken;
}

int TunDevice::WriteFrame(std::span<const std::uint8_t> frame) const {
  if (queues_.empty()) return -EBADF;
  if (RetryWrite(queues_[0], frame.data(), frame.size()) >= 0) return 1;
  return LastError() == ENODEV ? -ENODEV : 0;
}

}  // namespace weft
