#include "bpf.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace weft::bpf {
namespace {

// enum bpf_attach_type of linux/bpf.h since 6.6.
constexpr uint32_t kTcxIngress = 46;

constexpr char kLicense[] = "Apache-2.0";
constexpr size_t kLogBytes = 256 * 1024;

uint64_t AddressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

int Call(bpf_cmd command, bpf_attr& attributes) {
  const long result = syscall(SYS_bpf, command, &attributes, sizeof attributes);
  return result < 0 ? -errno : static_cast<int>(result);
}

void SetName(char (&to)[BPF_OBJ_NAME_LEN], const char* name) {
  std::snprintf(to, sizeof to, "weft_%s", name);
}

// The verifier ends with a line of statistics; the one before says what it did not like.
std::string LastWords(std::string text) {
  text.resize(std::strlen(text.c_str()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t statistics = text.rfind("\nprocessed ");
  if (statistics != std::string::npos) text.resize(statistics);
  const size_t line = text.rfind('\n');
  return line == std::string::npos ? text : text.substr(line + 1);
}

}  // namespace

int CreateMap(const MapShape& shape) {
  bpf_attr attributes{};
  attributes.map_type = shape.type;
  attributes.key_size = shape.key_bytes;
  attributes.value_size = shape.value_bytes;
  attributes.max_entries = shape.entries;
  // Room for as many entries as there are, not as there may be.
  if (shape.type != BPF_MAP_TYPE_ARRAY) attributes.map_flags = BPF_F_NO_PREALLOC;
  SetName(attributes.map_name, shape.name);
  return Call(BPF_MAP_CREATE, attributes);
}

int Update(int map, const void* key, const void* value) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = AddressOf(key);
  attributes.value = AddressOf(value);
  attributes.flags = BPF_ANY;
  return Call(BPF_MAP_UPDATE_ELEM, attributes);
}

int Erase(int map, const void* key) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = AddressOf(key);
  return Call(BPF_MAP_DELETE_ELEM, attributes);
}

int Lookup(int map, const void* key, void* value) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map);
  attributes.key = AddressOf(key);
  attributes.value = AddressOf(value);
  return Call(BPF_MAP_LOOKUP_ELEM, attributes);
}

uint32_t CpuCount() {
  // The kernel's "possible" set, which sysconf does not tell: "0-3" or "0".
  unsigned first = 0;
  unsigned last = 0;
  std::FILE* file = std::fopen("/sys/devices/system/cpu/possible", "re");
  if (file == nullptr) return 0;
  const int count = std::fscanf(file, "%u-%u", &first, &last);
  std::fclose(file);
  return count == 2 ? last + 1 : first + 1;
}

int LoadClassifier(const char* name, std::span<const bpf_insn> code, std::string& log) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insns = AddressOf(code.data());
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.license = AddressOf(kLicense);
  SetName(attributes.prog_name, name);
  int result = Call(BPF_PROG_LOAD, attributes);
  if (result >= 0) return result;
  std::string text(kLogBytes, '\0');
  attributes.log_buf = AddressOf(text.data());
  attributes.log_size = static_cast<uint32_t>(text.size());
  attributes.log_level = 1;
  result = Call(BPF_PROG_LOAD, attributes);
  if (result < 0) log = LastWords(std::move(text));
  return result;
}

int AttachIngress(int program, uint32_t ifindex) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<uint32_t>(program);
  attributes.link_create.target_ifindex = ifindex;
  attributes.link_create.attach_type = kTcxIngress;
  return Call(BPF_LINK_CREATE, attributes);
}

}  // namespace weft::bpf
