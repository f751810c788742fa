#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct ifreq;

namespace weft {

struct TunOptions {
  std::string name;   // with one %d for the kernel to number, or empty for its own choice
  std::string netns;  // path of a network namespace; empty: the thread's own
  bool tap = true;
  bool must_exist = false;   // take a device that is there, never make one
  bool multi_queue = false;  // true whenever queues > 1
  unsigned queues = 1;
  int vnet_header_bytes = 0;   // 0: none
  unsigned long offloads = 0;  // TUN_F_* flags; only with a vnet header
};

// What stopped an Open, and where. `step` is a word that TypeScript knows.
struct TunFailure {
  const char* step = nullptr;
  int error = 0;
};

// Slots of a FrameBatch (src/base/frame-batch.ts). All sizes in bytes.
struct FrameSlots {
  std::span<std::uint8_t> buffer;
  std::span<std::uint32_t> lengths;
  std::size_t count = 0;
  std::size_t slot_bytes = 0;
  std::size_t headroom = 0;

  bool IsSound() const {
    return headroom < slot_bytes && count <= lengths.size() && count <= buffer.size() / slot_bytes;
  }
  std::size_t room() const { return slot_bytes - headroom; }
  std::uint8_t* Frame(std::size_t slot) const {
    return buffer.data() + slot * slot_bytes + headroom;
  }
};

using MacBytes = std::array<std::uint8_t, 6>;

// A TAP or TUN device: one non-blocking descriptor for each queue, and a control socket that was
// opened in the device's namespace, through which its properties are read and set from any
// namespace. No N-API.
//
// Calls return 0 or a value, or a negative errno: -ENODEV if the device was deleted or moved to
// another namespace, -EBADF if it is not open. One thread at a time.
class TunDevice {
 public:
  TunDevice() = default;
  ~TunDevice() { Close(); }
  TunDevice(const TunDevice&) = delete;
  TunDevice& operator=(const TunDevice&) = delete;

  // `step` is null if it opened. Otherwise nothing is left behind.
  TunFailure Open(const TunOptions& options);
  void Close();

  const std::vector<int>& queues() const { return queues_; }
  // A netlink socket that becomes readable when a link of the namespace changes; see
  // DrainLinkEvents.
  int control_fd() const { return control_; }
  // Forgets the waiting link events; true if one may have been about this device. What changed is
  // then asked of the device itself, which waits for the kernel's one lock (rtnl).
  bool DrainLinkEvents() const;

  // The name now, which `ip link set … name` may have changed.
  int GetName(std::string* name) const;
  int GetMtu() const;
  int SetMtu(int mtu) const;
  // Frames that wait for the reader before the kernel drops more.
  int GetQueueFrames() const;
  int SetQueueFrames(int frames) const;
  int GetMac(MacBytes* mac) const;
  int SetMac(const MacBytes& mac) const;
  // IFF_* flags of the interface.
  int GetFlags() const;
  int SetUp(bool up) const;
  // 1 or 0.
  int IsPersistent() const;
  int SetPersistent(bool on) const;

  // Reads what waits on all queues, in turn, into slots [0, count). A frame longer than the room is
  // cut and its full length is noted. Returns the slots filled.
  int Read(const FrameSlots& slots);
  // Returns the frames that the kernel took; it goes on after one that it refuses.
  int Write(const FrameSlots& slots) const;
  // 1 if the kernel took the frame, 0 if it refused.
  int WriteFrame(std::span<const std::uint8_t> frame) const;

 private:
  TunFailure OpenQueues(const TunOptions& options);
  TunFailure ConfigureHeader(const TunOptions& options) const;
  TunFailure FindIndex();
  int NamedIoctl(unsigned long request, ifreq* data) const;
  std::size_t ReadQueue(int fd, const FrameSlots& slots, std::size_t filled, int* error);

  std::vector<int> queues_;
  int control_ = -1;
  int index_ = 0;
  std::size_t next_queue_ = 0;
  // Takes what doesn't fit into a slot, so that readv tells the frame's full length. Never read.
  std::unique_ptr<std::uint8_t[]> spill_;
};

}  // namespace weft
