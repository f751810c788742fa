#include "netns_scope.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace weft {

NetnsScope::NetnsScope(const std::string& path) {
  if (path.empty()) return;
  error_ = Enter(path);
}

int NetnsScope::Enter(const std::string& path) {
  // O_NONBLOCK: a path that names a FIFO must not stop the process.
  const int target = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (target < 0) return errno;
  home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int error = 0;
  if (home_ < 0 || setns(target, CLONE_NEWNET) != 0) error = errno;
  close(target);
  if (error != 0 && home_ >= 0) {
    close(home_);
    home_ = -1;
  }
  return error;
}

NetnsScope::~NetnsScope() {
  if (home_ < 0) return;
  if (setns(home_, CLONE_NEWNET) != 0) {
    std::perror("weft: a thread can't return to its own network namespace");
    std::abort();
  }
  close(home_);
}

}  // namespace weft
