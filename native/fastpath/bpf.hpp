#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>

#include "../core/sockets.hpp"

// The parts of bpf(2) that the fast path needs. Results are descriptors or 0, or a negative errno.
namespace weft::bpf {

struct MapShape {
  const char* name;
  bpf_map_type type;
  uint32_t key_bytes;
  uint32_t value_bytes;
  uint32_t entries;
};

int CreateMap(const MapShape& shape);
int Update(int map, const void* key, const void* value);
int Erase(int map, const void* key);
// Of a per-CPU map `value` has room for CpuCount() values.
int Lookup(int map, const void* key, void* value);
// Processors that this machine may ever have: values per key of a per-CPU map.
uint32_t CpuCount();

// `log` gets the verifier's last words if it refuses.
int LoadClassifier(const char* name, std::span<const bpf_insn> code, std::string& log);

// Runs the program at tc ingress of the interface until the descriptor that this returns is closed,
// by us or by our death. Needs TCX, of Linux 6.6; before that the answer is -EINVAL.
int AttachIngress(int program, uint32_t ifindex);

}  // namespace weft::bpf
