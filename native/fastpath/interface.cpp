#include "interface.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "../core/sockets.hpp"

namespace weft {
namespace {

constexpr uint32_t kMaxFeatures = 1024;

// What the kernel wants of a device before it hands it a TCP super-frame in a tunnel (net_gso_ok).
constexpr const char* kTunnelFeatures[] = {"tx-scatter-gather", "tx-tcp-segmentation",
                                           "tx-udp_tnl-segmentation"};

// The structures of linux/ethtool.h end in arrays of unknown length.
using Block = std::vector<uint32_t>;

ifreq RequestFor(const char* name) {
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  return request;
}

bool Ethtool(int fd, const char* name, Block& block) {
  ifreq request = RequestFor(name);
  request.ifr_data = reinterpret_cast<char*>(block.data());
  return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

// How many features this kernel knows; 0 if it does not say.
uint32_t CountFeatures(int fd, const char* name) {
  Block block(sizeof(ethtool_sset_info) / 4 + 1);
  auto* set = reinterpret_cast<ethtool_sset_info*>(block.data());
  set->cmd = ETHTOOL_GSSET_INFO;
  set->sset_mask = 1ULL << ETH_SS_FEATURES;
  if (!Ethtool(fd, name, block) || set->data[0] > kMaxFeatures) return 0;
  return set->data[0];
}

// The number of a feature among `count`, or `count`.
uint32_t FindFeature(int fd, const char* name, uint32_t count, const char* feature) {
  Block block((sizeof(ethtool_gstrings) + size_t{count} * ETH_GSTRING_LEN) / 4);
  auto* strings = reinterpret_cast<ethtool_gstrings*>(block.data());
  strings->cmd = ETHTOOL_GSTRINGS;
  strings->string_set = ETH_SS_FEATURES;
  strings->len = count;
  if (!Ethtool(fd, name, block)) return count;
  uint32_t at = 0;
  const auto* texts = reinterpret_cast<const char*>(strings->data);
  while (at < count &&
         std::strncmp(texts + size_t{at} * ETH_GSTRING_LEN, feature, ETH_GSTRING_LEN) != 0) {
    at++;
  }
  return at;
}

// Whether `ethtool -k` would say that the feature is on.
bool HasFeature(int fd, const char* name, const char* feature) {
  const uint32_t count = CountFeatures(fd, name);
  const uint32_t at = FindFeature(fd, name, count, feature);
  if (at == count) return false;
  const uint32_t words = (count + 31) / 32;
  Block block((sizeof(ethtool_gfeatures) + words * sizeof(ethtool_get_features_block)) / 4);
  auto* features = reinterpret_cast<ethtool_gfeatures*>(block.data());
  features->cmd = ETHTOOL_GFEATURES;
  features->size = words;
  return Ethtool(fd, name, block) && (features->features[at / 32].active >> at % 32 & 1) != 0;
}

}  // namespace

Interface DescribeInterface(const char* name) {
  Interface described;
  const OwnedFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = RequestFor(name);
  if (!fd.is_open() || ioctl(fd.get(), SIOCGIFHWADDR, &request) < 0) return described;
  ifreq mtu = RequestFor(name);
  if (ioctl(fd.get(), SIOCGIFMTU, &mtu) == 0) {
    described.mtu = static_cast<unsigned>(mtu.ifr_mtu);
  }
  described.is_ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  described.segments_tunnels =
      std::all_of(std::begin(kTunnelFeatures), std::end(kTunnelFeatures),
                  [&](const char* feature) { return HasFeature(fd.get(), name, feature); });
  return described;
}

}  // namespace weft
