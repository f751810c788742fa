#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// Four bytes of a message that only the namespace can tell, written before it is sent.
struct NetlinkPatch {
  enum class Kind { kInterfaceIndex, kNamespaceFd };
  Kind kind = Kind::kInterfaceIndex;
  uint32_t at = 0;
  // The interface's name, or the namespace's path.
  std::string text;
};

// Either a message of rtnetlink(7), or a value for a file whose content depends on the namespace.
struct NetlinkStep {
  std::vector<uint8_t> message;
  std::vector<NetlinkPatch> patches;
  // Of a message that removes a link, its name: the step ends when the link is gone from the
  // namespace, with its peer. What the kernel has to do afterwards goes on behind.
  std::string removes;
  std::string path;
  std::string value;
};

struct NetlinkOutcome {
  static constexpr int kEntering = -1;
  // Index of the step that was refused, kEntering if it did not come to the first; meaningless
  // without an error.
  int failed_at = kEntering;
  // errno, 0 if all was done.
  int error = 0;
  // What the kernel says of it in words, or of the errno.
  std::string why;
  // The payload of every message that answers a step, headers and all, one buffer a step.
  std::vector<std::vector<uint8_t>> replies;
};

// Performs the steps in order in the namespace at `netns` (empty: the process's own), and stops at
// the first that is refused. Blocks; to be called on a thread that may wait.
NetlinkOutcome PerformNetlink(const std::string& netns, std::vector<NetlinkStep> steps);

}  // namespace weft
