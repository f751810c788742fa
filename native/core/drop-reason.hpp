#pragma once

#include <cstddef>
#include <cstdint>

// Why a frame or datagram was refused. The names are those of src/dataplane/drop-reason.ts, where
// each is explained; a test compares the two lists.
#define WEFT_DROP_REASONS(X) \
  X(port_frame_short)        \
  X(port_frame_long)         \
  X(port_source_invalid)     \
  X(port_source_spoofed)     \
  X(port_gateway)            \
  X(port_hairpin)            \
  X(port_no_destination)     \
  X(port_unknown_limited)    \
  X(port_offload_invalid)    \
  X(vxlan_short)             \
  X(vxlan_flags)             \
  X(vxlan_vni_unknown)       \
  X(vxlan_vtep_unknown)      \
  X(vxlan_not_sealed)        \
  X(vxlan_frame_short)       \
  X(vxlan_frame_long)        \
  X(vxlan_source_invalid)    \
  X(vxlan_source_local)      \
  X(vxlan_source_spoofed)    \
  X(vxlan_gateway)           \
  X(vxlan_ecn)               \
  X(vxlan_no_port)           \
  X(mesh_unknown)            \
  X(mesh_queue_full)         \
  X(mesh_handshake_foreign)  \
  X(mesh_handshake_shed)     \
  X(mesh_envelope_shed)      \
  X(relay_malformed)         \
  X(relay_stranger)          \
  X(relay_unknown)           \
  X(relay_hop_limit)         \
  X(relay_loop)              \
  X(sealed_short)            \
  X(sealed_session_unknown)  \
  X(sealed_replayed)         \
  X(sealed_forged)           \
  X(sealed_vni_unknown)      \
  X(sealed_vtep_unknown)     \
  X(sealed_frame_short)      \
  X(sealed_frame_long)       \
  X(sealed_source_invalid)   \
  X(sealed_source_local)     \
  X(sealed_source_spoofed)   \
  X(sealed_gateway)          \
  X(sealed_ecn)              \
  X(sealed_no_port)          \
  X(unsealed_short)          \
  X(unsealed_unknown)        \
  X(unsealed_not_agreed)     \
  X(sealed_no_key)           \
  X(sealed_key_exhausted)    \
  X(underlay_send_failed)    \
  X(underlay_queue_full)     \
  X(underlay_unasked)        \
  X(port_write_failed)

namespace weft {

enum class DropReason : uint8_t {
#define WEFT_DROP_REASON(name) name,
  WEFT_DROP_REASONS(WEFT_DROP_REASON)
#undef WEFT_DROP_REASON
};

inline constexpr const char* kDropReasonNames[] = {
#define WEFT_DROP_REASON(name) #name,
    WEFT_DROP_REASONS(WEFT_DROP_REASON)
#undef WEFT_DROP_REASON
};

constexpr size_t kDropReasonCount = sizeof kDropReasonNames / sizeof *kDropReasonNames;

}  // namespace weft
