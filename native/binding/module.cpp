#include <napi.h>

#include "../core/cipher.hpp"
#include "../core/drop-reason.hpp"
#include "../core/stats.hpp"
#include "fast-path-binding.hpp"
#include "native-plane.hpp"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  const auto reasons = Napi::Array::New(env);
  for (const char* name : weft::kDropReasonNames) reasons.Set(reasons.Length(), name);
  exports["dropReasons"] = reasons;
  exports["globalSlots"] =
      static_cast<uint32_t>(sizeof(weft::GlobalStats) / sizeof(weft::StatSlot));
  exports["cipherLibrary"] = weft::CipherLibrary();
  exports["trafficSlots"] =
      static_cast<uint32_t>(sizeof(weft::TrafficStats) / sizeof(weft::StatSlot));
  exports["maxThreads"] = weft::kMaxThreads;
  exports["maxQueues"] = weft::kMaxQueues;
  exports["maxAddresses"] = weft::kMaxBinds;
  exports["sourcePorts"] = weft::kSourcePorts;
  exports["NativePlane"] = weft::NativePlane::Define(env);
  exports["FastPath"] = weft::FastPathBinding::Define(env);
  return exports;
}

}  // namespace

NODE_API_MODULE(dataplane, Init)
