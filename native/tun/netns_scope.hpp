#pragma once

#include <string>

namespace weft {

// Puts the calling thread into another network namespace for as long as the scope lives. Threads
// have namespaces of their own in Linux, so no other thread of the process notices.
//
// A thread that can't go back would open every later socket in a container's namespace: the process
// ends instead.
class NetnsScope {
 public:
  // An empty path means: stay. After construction, error() tells whether the thread is where it
  // should be.
  explicit NetnsScope(const std::string& path);
  ~NetnsScope();
  NetnsScope(const NetnsScope&) = delete;
  NetnsScope& operator=(const NetnsScope&) = delete;

  // 0, or the errno of what failed; the thread is then still in its own namespace. EINVAL: the file
  // is no network namespace.
  int error() const { return error_; }

 private:
  int Enter(const std::string& path);

  int home_ = -1;
  int error_ = 0;
};

}  // namespace weft
