#pragma once

namespace weft {

// What an interface is and can do.
struct Interface {
  // Its frames have Ethernet headers and leave this machine.
  bool is_ethernet = false;
  // Bytes of its longest packet.
  unsigned mtu = 0;
  // It cuts super-frames up behind VXLAN headers, or hands them on whole.
  bool segments_tunnels = false;
};

// All false for one that is not there.
Interface DescribeInterface(const char* name);

}  // namespace weft
