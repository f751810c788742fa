// What Node lacks to be a good service on Linux: a datagram to systemd's notify socket, flock(2),
// sockets that hear one interface only, and malloc_trim(3). Only conversions and single system
// calls; src/daemon/lifecycle.ts and src/os/device-socket.ts check arguments and word errors.

#include <arpa/inet.h>
#include <malloc.h>
#include <napi.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace {

// A path that starts with '@' names a socket in the abstract namespace (sd_notify(3)): its first
// byte is zero and its length is not ended by one.
bool FillAddress(const std::string& path, sockaddr_un& address, socklen_t& bytes) {
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const bool is_abstract = path.front() == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  bytes =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (is_abstract ? 0 : 1));
  return true;
}

// notify(path, text): 0, or the errno of the call that failed. Never blocks: systemd's socket has
// room, and a daemon must not hang on a supervisor that does not read.
Napi::Value Notify(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  const std::string text = info[1].As<Napi::String>().Utf8Value();
  sockaddr_un address{};
  socklen_t address_bytes = 0;
  if (!FillAddress(path, address, address_bytes))
    return Napi::Number::New(info.Env(), ENAMETOOLONG);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Napi::Number::New(info.Env(), errno);
  const ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&address), address_bytes);
  const int failure = sent < 0 ? errno : 0;
  close(fd);
  return Napi::Number::New(info.Env(), failure);
}

// lock(fd): 0 if this open file now holds the exclusive lock, EWOULDBLOCK if another one does. The
// kernel lets go of it when the process ends, however it ends.
Napi::Value Lock(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int result = flock(fd, LOCK_EX | LOCK_NB);
  return Napi::Number::New(info.Env(), result < 0 ? errno : 0);
}

// An IP address as text, with a port; false if it is none.
bool FillInetAddress(const std::string& text, uint16_t port, sockaddr_storage& address,
                     socklen_t& bytes) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    bytes = sizeof(sockaddr_in);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  bytes = sizeof(sockaddr_in6);
  return true;
}

// Room for some thousands of short datagrams while the event loop is busy.
constexpr int kReceiveBufferBytes = 4 << 20;

// Before bind: with a device, an address that comes to it later may be bound, and other programs'
// sockets on other interfaces do not matter; a TCP port whose connections linger can be had again.
int Prepare(int fd, int family, int type, const std::string& device) {
  const int on = 1;
  if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
    return errno;
  if (!device.empty()) {
    const int freebind = family == AF_INET6
                             ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on))
                             : setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
    if (freebind < 0) return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(),
                   static_cast<socklen_t>(device.size())) < 0)
      return errno;
  }
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (type == SOCK_DGRAM)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes));
  return 0;
}

// bound(isStream, address, port, device): a descriptor of a socket bound to the address and, if a
// device is named, to that interface alone; or an errno as a negative number.
Napi::Value Bound(const Napi::CallbackInfo& info) {
  const int type = info[0].As<Napi::Boolean>().Value() ? SOCK_STREAM : SOCK_DGRAM;
  const std::string text = info[1].As<Napi::String>().Utf8Value();
  const auto port = static_cast<uint16_t>(info[2].As<Napi::Number>().Uint32Value());
  const std::string device = info[3].As<Napi::String>().Utf8Value();
  sockaddr_storage address{};
  socklen_t bytes = 0;
  if (!FillInetAddress(text, port, address, bytes)) return Napi::Number::New(info.Env(), -EINVAL);
  const int fd = socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Napi::Number::New(info.Env(), -errno);
  int failure = Prepare(fd, address.ss_family, type, device);
  if (failure == 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), bytes) < 0)
    failure = errno;
  if (failure == 0) return Napi::Number::New(info.Env(), fd);
  close(fd);
  return Napi::Number::New(info.Env(), -failure);
}

// interfaceName(index): the name of an interface by the kernel's number, '' if it is gone. Waits
// for no lock.
Napi::Value InterfaceName(const Napi::CallbackInfo& info) {
  char name[IF_NAMESIZE] = "";
  if_indextoname(info[0].As<Napi::Number>().Uint32Value(), name);
  return Napi::String::New(info.Env(), name);
}

// A mapping of this process, from its first line in /proc/PID/smaps (proc_pid_smaps(5)).
struct Mapping {
  uintptr_t start = 0;
  uintptr_t end = 0;
  bool is_constant = false;  // of a file, private, and never written to
};

// False if the line is not the first one of a mapping.
bool ReadMapping(const std::string& line, Mapping& mapping) {
  Mapping read;
  char mode[5];
  unsigned long inode;
  const int fields =
      std::sscanf(line.c_str(), "%lx-%lx %4s %*s %*s %lu", &read.start, &read.end, mode, &inode);
  if (fields != 4) return false;
  read.is_constant = mode[0] == 'r' && mode[1] == '-' && mode[3] == 'p' && inode != 0;
  mapping = read;
  return true;
}

// Lets go of the pages of programs and libraries that starting has read. What is needed again comes
// back from the page cache, without a copy. A mapping with a page of its own (`Anonymous`:
// relocations, a breakpoint) is left alone: MADV_DONTNEED would undo the change.
void ReleaseConstants() {
  std::ifstream maps("/proc/self/smaps");
  Mapping mapping;
  for (std::string line; std::getline(maps, line);) {
    if (ReadMapping(line, mapping)) continue;
    if (mapping.is_constant && line.starts_with("Anonymous:") && line.ends_with(" 0 kB")) {
      madvise(reinterpret_cast<void*>(mapping.start), mapping.end - mapping.start, MADV_DONTNEED);
    }
  }
}

// trim(): gives back to the kernel what starting needed and running does not: the heap's free pages
// and those of programs and libraries that were read.
void Trim(const Napi::CallbackInfo&) {
  malloc_trim(0);
  ReleaseConstants();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("notify", Napi::Function::New(env, Notify));
  exports.Set("lock", Napi::Function::New(env, Lock));
  exports.Set("bound", Napi::Function::New(env, Bound));
  exports.Set("interfaceName", Napi::Function::New(env, InterfaceName));
  exports.Set("trim", Napi::Function::New(env, Trim));
  return exports;
}

}  // namespace

NODE_API_MODULE(host, Init)
