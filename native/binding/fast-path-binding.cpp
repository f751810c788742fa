#include "fast-path-binding.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <cassert>
#include <cerrno>
#include <string>
#include <type_traits>
#include <utility>

#include "../fastpath/interface.hpp"
#include "../fastpath/routes.hpp"

namespace weft {
namespace {

uint32_t Uint32(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

Mac MacOf(const Napi::Value& value) {
  return static_cast<Mac>(value.As<Napi::Number>().Int64Value());
}

// TypeScript has checked it. The empty text is 0, no address.
uint32_t Ipv4Of(const Napi::Value& value) {
  in_addr address{};
  inet_pton(AF_INET, value.As<Napi::String>().Utf8Value().c_str(), &address);
  return address.s_addr;
}

Napi::Value TextOf(Napi::Env env, uint32_t address) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address, text, sizeof text);
  return Napi::String::New(env, text);
}

// Does `work` on a thread of libuv's pool and settles a promise with what `convert` makes of its
// result on the event loop.
template <typename Work, typename Convert>
class Background final : public Napi::AsyncWorker {
 public:
  Background(Napi::Env env, Work work, Convert convert)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        convert_(convert) {}

  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override { result_ = work_(); }
  void OnOK() override { deferred_.Resolve(convert_(Env(), result_)); }

 private:
  Napi::Promise::Deferred deferred_;
  Work work_;
  Convert convert_;
  std::invoke_result_t<Work> result_{};
};

template <typename Work, typename Convert>
Napi::Value InBackground(Napi::Env env, Work work, Convert convert) {
  auto* worker = new Background<Work, Convert>(env, std::move(work), convert);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Value NumberOf(Napi::Env env, int number) { return Napi::Number::New(env, number); }

// The way to an address and the interface that it takes; no device: there is none.
struct Underlay {
  Route route;
  std::string device;
  Interface interface;
};

Napi::Value UnderlayOf(Napi::Env env, const Underlay& found) {
  if (found.device.empty()) return env.Undefined();
  auto object = Napi::Object::New(env);
  object["ifindex"] = found.route.ifindex;
  object["device"] = Napi::String::New(env, found.device);
  object["source"] = TextOf(env, found.route.source);
  object["isEthernet"] = found.interface.is_ethernet;
  object["mtu"] = found.interface.mtu;
  object["segmentsTunnels"] = found.interface.segments_tunnels;
  return object;
}

}  // namespace

Napi::Function FastPathBinding::Define(Napi::Env env) {
  return DefineClass(env, "FastPath",
                     {InstanceMethod<&FastPathBinding::Load>("load"),
                      InstanceMethod<&FastPathBinding::Probe>("probe"),
                      InstanceMethod<&FastPathBinding::WatchRoutes>("watchRoutes"),
                      InstanceMethod<&FastPathBinding::DeviceIndex>("deviceIndex"),
                      InstanceMethod<&FastPathBinding::FindRoute>("findRoute"),
                      InstanceMethod<&FastPathBinding::SetEndpoint>("setEndpoint"),
                      InstanceMethod<&FastPathBinding::RemoveEndpoint>("removeEndpoint"),
                      InstanceMethod<&FastPathBinding::AttachEndpoint>("attachEndpoint"),
                      InstanceMethod<&FastPathBinding::DetachEndpoint>("detachEndpoint"),
                      InstanceMethod<&FastPathBinding::AttachUnderlay>("attachUnderlay"),
                      InstanceMethod<&FastPathBinding::DetachUnderlay>("detachUnderlay"),
                      InstanceMethod<&FastPathBinding::SetVtep>("setVtep"),
                      InstanceMethod<&FastPathBinding::RemoveVtep>("removeVtep"),
                      InstanceMethod<&FastPathBinding::Traffic>("traffic"),
                      InstanceMethod<&FastPathBinding::Close>("close")});
}

FastPathBinding::FastPathBinding(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FastPathBinding>(info) {}

FastPathBinding::~FastPathBinding() { StopWatching(); }

Napi::Value FastPathBinding::Load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  FastPath::Failure failure;
  path_ = FastPath::Load(info[0].As<Napi::String>().Utf8Value().c_str(),
                         static_cast<uint16_t>(Uint32(info[1])), Uint32(info[2]), failure);
  if (path_ != nullptr) return env.Undefined();
  auto object = Napi::Object::New(env);
  object["step"] = failure.step;
  object["errno"] = failure.error;
  object["log"] = failure.log;
  return object;
}

Napi::Value FastPathBinding::Probe(const Napi::CallbackInfo& info) {
  // The first interface of every network namespace.
  constexpr uint32_t kLoopback = 1;
  const int error = path_->AttachUnderlay(kLoopback);
  path_->DetachUnderlay(kLoopback);
  return Napi::Number::New(info.Env(), error);
}

Napi::Value FastPathBinding::WatchRoutes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = OpenRouteWatch();
  if (fd < 0) return Napi::Number::New(env, fd);
  watch_ = OwnedFd(fd);
  on_change_ = Napi::Persistent(info[0].As<Napi::Function>());
  int error = 0;
  poll_ = Poll::Create(
      env, fd,
      [this, env](bool alive) {
        DrainRouteWatch(watch_.get());
        if (!alive) poll_->Stop();
        const Napi::HandleScope scope(env);
        on_change_.MakeCallback(env.Global(), {});
      },
      &error);
  if (poll_ != nullptr) error = poll_->Start(false);
  return Napi::Number::New(env, error);
}

Napi::Value FastPathBinding::DeviceIndex(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return Napi::Number::New(info.Env(), if_nametoindex(name.c_str()));
}

// On another thread: what an interface can do is told under the lock on links.
Napi::Value FastPathBinding::FindRoute(const Napi::CallbackInfo& info) {
  return InBackground(
      info.Env(),
      [to = Ipv4Of(info[0]), from = Ipv4Of(info[1])] {
        Underlay found;
        const int error = weft::FindRoute(to, from, found.route);
        char device[IF_NAMESIZE];
        if (error != 0 || if_indextoname(found.route.ifindex, device) == nullptr) return found;
        found.device = device;
        found.interface = DescribeInterface(device);
        return found;
      },
      UnderlayOf);
}

Napi::Value FastPathBinding::SetEndpoint(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           path_->SetEndpoint(Uint32(info[0]), MacOf(info[1]), Uint32(info[2]),
                                              Uint32(info[3]), Uint32(info[4])));
}

void FastPathBinding::RemoveEndpoint(const Napi::CallbackInfo& info) {
  path_->RemoveEndpoint(Uint32(info[0]), MacOf(info[1]), Uint32(info[2]));
}

Napi::Value FastPathBinding::AttachEndpoint(const Napi::CallbackInfo& info) {
  return InBackground(
      info.Env(),
      [path = path_, ifindex = Uint32(info[0])] { return path->AttachEndpoint(ifindex); },
      NumberOf);
}

Napi::Value FastPathBinding::DetachEndpoint(const Napi::CallbackInfo& info) {
  return InBackground(
      info.Env(),
      [path = path_, ifindex = Uint32(info[0])] {
        path->DetachEndpoint(ifindex);
        return 0;
      },
      NumberOf);
}

Napi::Value FastPathBinding::AttachUnderlay(const Napi::CallbackInfo& info) {
  return InBackground(
      info.Env(),
      [path = path_, ifindex = Uint32(info[0])] { return path->AttachUnderlay(ifindex); },
      NumberOf);
}

Napi::Value FastPathBinding::DetachUnderlay(const Napi::CallbackInfo& info) {
  return InBackground(
      info.Env(),
      [path = path_, ifindex = Uint32(info[0])] {
        path->DetachUnderlay(ifindex);
        return 0;
      },
      NumberOf);
}

Napi::Value FastPathBinding::SetVtep(const Napi::CallbackInfo& info) {
  weft_vtep vtep{};
  vtep.local = Ipv4Of(info[1]);
  vtep.remote = Ipv4Of(info[2]);
  vtep.port = htons(static_cast<uint16_t>(Uint32(info[3])));
  vtep.ifindex = Uint32(info[4]);
  vtep.mtu = Uint32(info[5]);
  vtep.segments = info[6].As<Napi::Boolean>() ? 1 : 0;
  vtep.combines_ecn = info[7].As<Napi::Boolean>() ? 1 : 0;
  return Napi::Number::New(info.Env(), path_->SetVtep(Uint32(info[0]), vtep));
}

void FastPathBinding::RemoveVtep(const Napi::CallbackInfo& info) {
  path_->RemoveVtep(Uint32(info[0]));
}

Napi::Value FastPathBinding::Traffic(const Napi::CallbackInfo& info) {
  const weft_traffic traffic = path_->TrafficOf(Uint32(info[0]));
  auto object = Napi::Object::New(info.Env());
  object["rxFrames"] = static_cast<double>(traffic.rx_frames);
  object["rxBytes"] = static_cast<double>(traffic.rx_bytes);
  object["txFrames"] = static_cast<double>(traffic.tx_frames);
  object["txBytes"] = static_cast<double>(traffic.tx_bytes);
  return object;
}

void FastPathBinding::Close(const Napi::CallbackInfo&) {
  StopWatching();
  path_.reset();
}

void FastPathBinding::StopWatching() {
  if (poll_ != nullptr) poll_->Close();
  poll_.reset();
  watch_ = OwnedFd();
  on_change_.Reset();
}

}  // namespace weft
