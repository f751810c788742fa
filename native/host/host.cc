// What Node lacks to be a good service on Linux: a datagram to systemd's notify socket, and
// flock(2). Only conversions and single system calls; src/daemon/lifecycle.ts checks arguments and
// words errors.

#include <napi.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
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

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("notify", Napi::Function::New(env, Notify));
  exports.Set("lock", Napi::Function::New(env, Lock));
  return exports;
}

}  // namespace

NODE_API_MODULE(host, Init)
