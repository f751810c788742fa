#include "fast-path-binding.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <cassert>
#include <cerrno>

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

}  // namespace

Napi::Function FastPathBinding::Define(Napi::Env env) {
  return DefineClass(env, "FastPath",
                     {InstanceMethod<&FastPathBinding::Load>("load"),
                      InstanceMethod<&FastPathBinding::WatchRoutes>("watchRoutes"),
                      InstanceMethod<&FastPathBinding::DeviceIndex>("deviceIndex"),
                      InstanceMethod<&FastPathBinding::FindRoute>("findRoute"),
                      InstanceMethod<&FastPathBinding::SetEndpoint>("setEndpoint"),
                      InstanceMethod<&FastPathBinding::RemoveEndpoint>("removeEndpoint"),
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

Napi::Value FastPathBinding::FindRoute(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Route route;
  const int error = weft::FindRoute(Ipv4Of(info[0]), Ipv4Of(info[1]), route);
  char device[IF_NAMESIZE];
  if (error != 0 || if_indextoname(route.ifindex, device) == nullptr) return env.Undefined();
  auto object = Napi::Object::New(env);
  object["ifindex"] = route.ifindex;
  object["device"] = Napi::String::New(env, device);
  object["source"] = TextOf(env, route.source);
  const Interface found = DescribeInterface(device);
  object["isEthernet"] = found.is_ethernet;
  object["mtu"] = found.mtu;
  object["segmentsTunnels"] = found.segments_tunnels;
  return object;
}

Napi::Value FastPathBinding::SetEndpoint(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           path_->SetEndpoint(Uint32(info[0]), MacOf(info[1]), Uint32(info[2]),
                                              Uint32(info[3]), Uint32(info[4])));
}

void FastPathBinding::RemoveEndpoint(const Napi::CallbackInfo& info) {
  path_->RemoveEndpoint(Uint32(info[0]), MacOf(info[1]), Uint32(info[2]));
}

Napi::Value FastPathBinding::AttachUnderlay(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), path_->AttachUnderlay(Uint32(info[0])));
}

void FastPathBinding::DetachUnderlay(const Napi::CallbackInfo& info) {
  path_->DetachUnderlay(Uint32(info[0]));
}

Napi::Value FastPathBinding::SetVtep(const Napi::CallbackInfo& info) {
  weft_vtep vtep{};
  vtep.local = Ipv4Of(info[1]);
  vtep.remote = Ipv4Of(info[2]);
  vtep.port = htons(static_cast<uint16_t>(Uint32(info[3])));
  vtep.ifindex = Uint32(info[4]);
  vtep.mtu = Uint32(info[5]);
  vtep.segments = info[6].As<Napi::Boolean>() ? 1 : 0;
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
