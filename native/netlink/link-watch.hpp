#pragma once

#include <string>

#include "fd.hpp"

namespace weft {

// Sees when a link of the calling thread's namespace has gone: nobody finds it any more by name or
// by index, nor its peer, and whoever asks for links by rtnetlink(7) waits for the lock under which
// both are being removed.
//
// It looks, since the kernel tells too late (RTMGRP_LINK): after a grace period of RCU where a
// program of the fast path is attached (tcx). To look by index takes no lock, and loads no module
// as a look for a name does.
class LinkWatch {
 public:
  explicit LinkWatch(const std::string& name);

  // False if there is no link of that name, or no way to look.
  bool is_on() const { return index_ != 0; }

  // Waits until the link has gone: true; or until `other` can be read: false.
  bool AwaitEnd(int other) const;

 private:
  bool IsThere() const;

  Fd socket_;
  int index_ = 0;
};

}  // namespace weft
