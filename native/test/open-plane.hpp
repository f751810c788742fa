#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "../core/data-plane.hpp"
#include "loopback.hpp"
#include "test.hpp"

namespace weft::test {

// Counts how often the control thread is to look.
class Flag final : public ControlWaker {
 public:
  std::atomic<uint32_t> wakes{0};
  void Wake() override {
    wakes++;
    wakes.notify_all();
  }
};

// For who never looks.
class Quiet final : public ControlWaker {
 public:
  void Wake() override {}
};

// A data plane at an IPv4 address of the loopback, at ports that the kernel chooses.
inline std::unique_ptr<DataPlane> OpenPlane(const char* address, DataPlaneOptions options,
                                            GlobalStats& stats, ControlWaker& waker) {
  const SocketAddress bound = Loopback(address, 0);
  options.addresses = std::span(&bound, 1);
  Sockets::Failure failure;
  auto plane = DataPlane::Open(options, stats, waker, failure);
  CHECK(plane != nullptr);
  return plane;
}

}  // namespace weft::test
