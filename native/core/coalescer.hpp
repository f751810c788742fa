#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "packet.hpp"
#include "vnet.hpp"

// Joins frames of one flow into super-frames before they are written to a TAP device: TCP over IPv4
// and IPv6, and UDP datagrams of equal size. It gathers pieces and copies nothing; only headers are
// rewritten, in the buffer where they arrived.
//
// Within a flow (addresses, ports, protocol, VLAN) order never changes: a frame that can't be
// joined writes out what waits before it. Between batches nothing waits.
namespace weft {

struct Port;

// Whether the transport checksum in a received frame is complete.
enum class InnerChecksum : uint8_t {
  kWhole,    // verified here before its frame is joined to others
  kPartial,  // holds the pseudo-header sum; the datagram itself was checked or authenticated
};

// Takes the finished frames. `pieces` starts with an empty slot for the vnet header's bytes.
class FrameSink {
 public:
  virtual void WriteFrame(Port& port, const VnetHeader& vnet, std::span<iovec> pieces,
                          uint32_t frames, uint64_t bytes) = 0;

 protected:
  ~FrameSink() = default;
};

class Coalescer {
 public:
  // `joins_udp`: the kernel takes UDP super-frames (Linux 6.2 and later).
  Coalescer(FrameSink& sink, bool joins_udp);

  // Takes one frame of at least 14 bytes. Its buffer must stay until Flush, and may be rewritten.
  void Push(Port& port, std::span<uint8_t> frame, InnerChecksum checksum);

  // Writes the frame as it is, after all that waits: for a frame that goes to several ports.
  void PushAlone(Port& port, std::span<uint8_t> frame, InnerChecksum checksum);

  // Writes out everything, flows in the order in which they first appeared.
  void Flush();

 private:
  static constexpr uint32_t kMaxFlows = 64;
  // Frames per super-frame: more than 65535 bytes hold at 1400 bytes each, and few enough for one
  // writev. UDP is held to what the kernel's own UDP_SEGMENT takes.
  static constexpr uint32_t kMaxJoined = 128;
  static constexpr uint32_t kMaxJoinedUdp = 64;
  static constexpr uint32_t kMaxPacketBytes = 65535;

  enum class IdRule : uint8_t { kUnknown, kCounts, kConstant };

  struct Flow {
    Port* port;
    uint8_t* header;
    Layers layers;
    IdRule id_rule;
    bool is_closed;
    bool is_partial;
    bool has_push;
    uint32_t next_sequence;
    uint32_t segment_payload;
    uint32_t payload_bytes;
    uint32_t frames;  // 0: nothing waits, the slot only keeps the flow's place in the order
    uint64_t bytes;
    std::array<iovec, kMaxJoined + 2> pieces;
  };

  Flow* Find(const Port& port, const uint8_t* frame, const Layers& layers, uint32_t hash);
  Flow& Claim(uint32_t hash);
  void Start(Flow& flow, Port& port, std::span<uint8_t> frame, const Layers& layers,
             InnerChecksum checksum);
  bool CanAppend(const Flow& flow, const uint8_t* frame, const Layers& layers) const;
  void Append(Flow& flow, const uint8_t* frame, const Layers& layers);
  void Write(Flow& flow);
  void WriteAlone(Port& port, std::span<uint8_t> frame, const Layers& layers,
                  InnerChecksum checksum);

  FrameSink& sink_;
  const bool joins_udp_;
  uint32_t flow_count_ = 0;
  std::array<uint32_t, kMaxFlows> hashes_{};
  std::unique_ptr<Flow[]> flows_;
};

}  // namespace weft
