#pragma once

#include <napi.h>

#include <memory>

#include "../fastpath/fast-path.hpp"
#include "../tun/poll.hpp"

namespace weft {

// The JavaScript face of FastPath; src/dataplane/native/addon.ts describes every method. It lives
// as long as the NativePlane that it was given to, which writes into its maps.
class FastPathBinding final : public Napi::ObjectWrap<FastPathBinding> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit FastPathBinding(const Napi::CallbackInfo& info);
  ~FastPathBinding() override;

  // Null before it was loaded.
  FastPath* path() const { return path_.get(); }

 private:
  Napi::Value Load(const Napi::CallbackInfo& info);
  Napi::Value Probe(const Napi::CallbackInfo& info);
  Napi::Value WatchRoutes(const Napi::CallbackInfo& info);
  Napi::Value DeviceIndex(const Napi::CallbackInfo& info);
  Napi::Value FindRoute(const Napi::CallbackInfo& info);
  Napi::Value SetEndpoint(const Napi::CallbackInfo& info);
  void RemoveEndpoint(const Napi::CallbackInfo& info);
  Napi::Value AttachEndpoint(const Napi::CallbackInfo& info);
  Napi::Value DetachEndpoint(const Napi::CallbackInfo& info);
  Napi::Value AttachUnderlay(const Napi::CallbackInfo& info);
  Napi::Value DetachUnderlay(const Napi::CallbackInfo& info);
  Napi::Value SetVtep(const Napi::CallbackInfo& info);
  void RemoveVtep(const Napi::CallbackInfo& info);
  Napi::Value Traffic(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  void StopWatching();

  // Also held by what is under way on another thread.
  std::shared_ptr<FastPath> path_;
  OwnedFd watch_;
  std::shared_ptr<Poll> poll_;
  Napi::FunctionReference on_change_;
};

}  // namespace weft
