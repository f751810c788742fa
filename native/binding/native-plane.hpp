#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <vector>

#include "../core/data-plane.hpp"

namespace weft {

// The JavaScript face of DataPlane: converts arguments, keeps the counters' memory alive, and
// brings control datagrams up to the event loop. src/dataplane/native/addon.ts describes every
// method.
class NativePlane final : public Napi::ObjectWrap<NativePlane>, private ControlWaker {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit NativePlane(const Napi::CallbackInfo& info);
  ~NativePlane() override;

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Binds(const Napi::CallbackInfo& info);
  void MirrorFdb(const Napi::CallbackInfo& info);
  void AddNetwork(const Napi::CallbackInfo& info);
  void SetSendMtu(const Napi::CallbackInfo& info);
  void RemoveNetwork(const Napi::CallbackInfo& info);
  void AddPort(const Napi::CallbackInfo& info);
  void RemovePort(const Napi::CallbackInfo& info);
  void AddVtep(const Napi::CallbackInfo& info);
  void FloodVtep(const Napi::CallbackInfo& info);
  void MoveVtep(const Napi::CallbackInfo& info);
  void ConfigureVtep(const Napi::CallbackInfo& info);
  void RemoveVtep(const Napi::CallbackInfo& info);
  void SetSendKey(const Napi::CallbackInfo& info);
  void ClearSendKey(const Napi::CallbackInfo& info);
  void AddReceiveKey(const Napi::CallbackInfo& info);
  void RemoveReceiveKey(const Napi::CallbackInfo& info);
  void SetPath(const Napi::CallbackInfo& info);
  void ClearPath(const Napi::CallbackInfo& info);
  void SetUnsealedSources(const Napi::CallbackInfo& info);
  Napi::Value PathTraffic(const Napi::CallbackInfo& info);
  void SetRoute(const Napi::CallbackInfo& info);
  void ClearRoute(const Napi::CallbackInfo& info);
  void SetRelayPeers(const Napi::CallbackInfo& info);
  void SetHandshakeKeys(const Napi::CallbackInfo& info);
  void SetEnvelopeKeys(const Napi::CallbackInfo& info);
  void Pin(const Napi::CallbackInfo& info);
  void Unpin(const Napi::CallbackInfo& info);
  void SetGateway(const Napi::CallbackInfo& info);
  void UpdateEndpoints(const Napi::CallbackInfo& info);
  Napi::Value Fdb(const Napi::CallbackInfo& info);
  void SendControl(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void Wake() override;
  static void OnWake(napi_env env, napi_value callback, void* context, void* data);
  void DeliverControl(Napi::Env env, Napi::Function callback);
  void Stop();
  StatSlot* StatsAt(const Napi::Value& slots, uint32_t index);

  // Of the FastPathBinding that FDBs are mirrored into: it outlives the data plane.
  Napi::ObjectReference fast_path_;
  std::unique_ptr<DataPlane> plane_;
  napi_threadsafe_function wake_ = nullptr;
  std::atomic<bool> is_waking_{false};
  // The typed arrays that counters live in.
  std::vector<Napi::Reference<Napi::BigUint64Array>> stats_;
};

}  // namespace weft
