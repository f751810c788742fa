#include "fast-path.hpp"

#include <cassert>
#include <cerrno>
#include <cstring>

#include "bpf.hpp"
#include "mac.hpp"
#include "object.hpp"

namespace weft {
namespace {

constexpr uint32_t kMaxRemotes = 262144;
constexpr uint32_t kMaxEndpoints = 16384;
constexpr uint32_t kMaxVteps = 65536;

// In the order of FastPath::MapIndex; the names are those that the programs use.
constexpr bpf::MapShape kShapes[] = {
    {"remotes", BPF_MAP_TYPE_HASH, sizeof(weft_fdb_key), sizeof(weft_remote), kMaxRemotes},
    {"locals", BPF_MAP_TYPE_HASH, sizeof(weft_fdb_key), sizeof(weft_local), kMaxEndpoints},
    {"ports", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(weft_port), kMaxEndpoints},
    {"vteps", BPF_MAP_TYPE_HASH, sizeof(uint32_t), sizeof(weft_vtep), kMaxVteps},
    {"traffic", BPF_MAP_TYPE_PERCPU_HASH, sizeof(uint32_t), sizeof(weft_traffic), kMaxVteps},
    {"slow_sent", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t), WEFT_SLOW_FLOWS},
    {"slow_received", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t), WEFT_SLOW_FLOWS},
    {"bursts", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(weft_burst), WEFT_SLOW_FLOWS},
    {"config", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(weft_config), 1},
};

int Attach(std::unordered_map<uint32_t, OwnedFd>& attached, int program, uint32_t ifindex) {
  if (attached.contains(ifindex)) return 0;
  const int link = bpf::AttachIngress(program, ifindex);
  if (link < 0) return link;
  attached.emplace(ifindex, OwnedFd(link));
  return 0;
}

}  // namespace

std::unique_ptr<FastPath> FastPath::Load(const char* object, uint16_t vxlan_port,
                                         uint32_t fdb_max_age_ms, Failure& failure) {
  std::unique_ptr<FastPath> path(new FastPath());
  const std::vector<char> bytes = bpf::ReadFile(object);
  if (bytes.empty()) {
    failure = {"read", -errno, {}};
    return nullptr;
  }
  for (size_t i = 0; i < kMaps; i++) {
    const int map = bpf::CreateMap(kShapes[i]);
    if (map < 0) {
      failure = {"map", map, {}};
      return nullptr;
    }
    path->maps_[i] = OwnedFd(map);
  }
  for (const auto& [name, program] :
       {std::pair{"encap", &path->encap_}, {"decap", &path->decap_}}) {
    const int error = path->LoadProgram(bytes, name, *program, failure.log);
    if (error < 0) {
      failure.step = name;
      failure.error = error;
      return nullptr;
    }
  }
  weft_config config{};
  config.vxlan_port = BigEndian16(vxlan_port);
  const uint32_t first = 0;
  bpf::Update(path->map(kConfig), &first, &config);
  path->cpus_ = bpf::CpuCount();
  path->mirror_ = std::make_unique<FdbMirror>(path->map(kRemotes), fdb_max_age_ms);
  return path;
}

int FastPath::LoadProgram(const std::vector<char>& object, const char* name, OwnedFd& program,
                          std::string& log) const {
  bpf::Code code = bpf::ReadSection(object, name);
  if (code.instructions.empty()) return -ENOEXEC;
  for (const auto& [at, wanted] : code.references) {
    size_t index = 0;
    while (index < kMaps && wanted != kShapes[index].name) index++;
    if (index == kMaps || at >= code.instructions.size()) return -ENOEXEC;
    code.instructions[at].src_reg = BPF_PSEUDO_MAP_FD;
    code.instructions[at].imm = maps_[index].get();
  }
  const int fd = bpf::LoadClassifier(name, code.instructions, log);
  if (fd >= 0) program = OwnedFd(fd);
  return fd;
}

int FastPath::SetEndpoint(uint32_t vni, Mac mac, uint32_t ifindex, uint32_t mtu, uint32_t tap) {
  weft_port port{};
  port.vni = vni;
  port.mtu = mtu;
  port.tap = tap;
  StoreMac(port.mac, mac);
  const weft_local local{ifindex, mtu};
  const weft_fdb_key key = KeyOfMac(vni, mac);
  int error = bpf::Update(map(kPorts), &ifindex, &port);
  if (error == 0) error = bpf::Update(map(kLocals), &key, &local);
  if (error != 0) RemoveEndpoint(vni, mac, ifindex);
  return error;
}

void FastPath::RemoveEndpoint(uint32_t vni, Mac mac, uint32_t ifindex) {
  const weft_fdb_key key = KeyOfMac(vni, mac);
  bpf::Erase(map(kLocals), &key);
  bpf::Erase(map(kPorts), &ifindex);
}

int FastPath::AttachEndpoint(uint32_t ifindex) { return Attach(ports_, encap_.get(), ifindex); }

void FastPath::DetachEndpoint(uint32_t ifindex) { ports_.erase(ifindex); }

int FastPath::AttachUnderlay(uint32_t ifindex) { return Attach(underlays_, decap_.get(), ifindex); }

void FastPath::DetachUnderlay(uint32_t ifindex) { underlays_.erase(ifindex); }

int FastPath::SetVtep(uint32_t id, const weft_vtep& vtep) {
  weft_vtep known{};
  // Its counters go on when only the way there has changed.
  if (bpf::Lookup(map(kVteps), &id, &known) != 0) {
    const std::vector<weft_traffic> zero(cpus_);
    const int error = bpf::Update(map(kTraffic), &id, zero.data());
    if (error != 0) return error;
  }
  return bpf::Update(map(kVteps), &id, &vtep);
}

void FastPath::RemoveVtep(uint32_t id) {
  bpf::Erase(map(kVteps), &id);
  bpf::Erase(map(kTraffic), &id);
}

weft_traffic FastPath::TrafficOf(uint32_t id) const {
  std::vector<weft_traffic> each(cpus_);
  weft_traffic sum{};
  if (bpf::Lookup(map(kTraffic), &id, each.data()) != 0) return sum;
  for (const weft_traffic& one : each) {
    sum.rx_frames += one.rx_frames;
    sum.rx_bytes += one.rx_bytes;
    sum.tx_frames += one.tx_frames;
    sum.tx_bytes += one.tx_bytes;
  }
  return sum;
}

}  // namespace weft
