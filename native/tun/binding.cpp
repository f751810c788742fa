// The `tun.node` addon: one class, Device, in the shape that src/tun/addon.ts states and checks.
// TypeScript has checked every argument; here they are only converted. Results are a value or a
// negative errno. Nothing here throws.

#include <napi.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "poll.hpp"
#include "tun_device.hpp"

namespace weft {

namespace {

using Info = Napi::CallbackInfo;

std::string StringOf(const Napi::Object& object, const char* key) {
  return object.Get(key).ToString().Utf8Value();
}

std::uint32_t NumberOf(const Napi::Object& object, const char* key) {
  return object.Get(key).ToNumber().Uint32Value();
}

bool BooleanOf(const Napi::Object& object, const char* key) {
  return object.Get(key).ToBoolean().Value();
}

TunOptions OptionsOf(const Napi::Object& object) {
  TunOptions options;
  options.name = StringOf(object, "name");
  options.netns = StringOf(object, "netns");
  options.tap = BooleanOf(object, "tap");
  options.must_exist = BooleanOf(object, "mustExist");
  options.multi_queue = BooleanOf(object, "multiQueue");
  options.queues = NumberOf(object, "queues");
  options.vnet_header_bytes = static_cast<int>(NumberOf(object, "vnetHeaderBytes"));
  options.offloads = NumberOf(object, "offloads");
  return options;
}

std::span<std::uint8_t> BytesOf(const Napi::Value& value) {
  void* data = nullptr;
  std::size_t length = 0;
  if (napi_get_buffer_info(value.Env(), value, &data, &length) != napi_ok) return {};
  return {static_cast<std::uint8_t*>(data), length};
}

std::span<std::uint32_t> WordsOf(const Napi::Value& value) {
  napi_typedarray_type type = napi_uint8_array;
  void* data = nullptr;
  std::size_t length = 0;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != napi_uint32_array) return {};
  return {static_cast<std::uint32_t*>(data), length};
}

std::uint32_t Uint32(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }

// (buffer, lengths, count, slotBytes, headroom)
FrameSlots SlotsOf(const Info& info) {
  return {BytesOf(info[0]), WordsOf(info[1]), Uint32(info[2]), Uint32(info[3]), Uint32(info[4])};
}

}  // namespace

class DeviceBinding : public Napi::ObjectWrap<DeviceBinding> {
 public:
  static Napi::Function Class(Napi::Env env) {
    return DefineClass(env, "Device",
                       {
                           InstanceMethod<&DeviceBinding::Open>("open"),
                           InstanceMethod<&DeviceBinding::Close>("close"),
                           InstanceMethod<&DeviceBinding::Fds>("fds"),
                           InstanceMethod<&DeviceBinding::Name>("name"),
                           InstanceMethod<&DeviceBinding::GetMtu>("getMtu"),
                           InstanceMethod<&DeviceBinding::SetMtu>("setMtu"),
                           InstanceMethod<&DeviceBinding::GetQueueFrames>("getQueueFrames"),
                           InstanceMethod<&DeviceBinding::SetQueueFrames>("setQueueFrames"),
                           InstanceMethod<&DeviceBinding::GetMac>("getMac"),
                           InstanceMethod<&DeviceBinding::SetMac>("setMac"),
                           InstanceMethod<&DeviceBinding::GetFlags>("getFlags"),
                           InstanceMethod<&DeviceBinding::SetUp>("setUp"),
                           InstanceMethod<&DeviceBinding::IsPersistent>("isPersistent"),
                           InstanceMethod<&DeviceBinding::SetPersistent>("setPersistent"),
                           InstanceMethod<&DeviceBinding::Listen>("listen"),
                           InstanceMethod<&DeviceBinding::ReadBatch>("readBatch"),
                           InstanceMethod<&DeviceBinding::WriteBatch>("writeBatch"),
                           InstanceMethod<&DeviceBinding::WriteFrame>("writeFrame"),
                       });
  }

  explicit DeviceBinding(const Info& info) : Napi::ObjectWrap<DeviceBinding>(info) {}
  ~DeviceBinding() override { StopAll(); }

 private:
  // (options, onGone) → undefined, or { step, errno }. While it is open the object is not
  // collected.
  Napi::Value Open(const Info& info) {
    const Napi::Env env = info.Env();
    TunFailure failure = device_.Open(OptionsOf(info[0].As<Napi::Object>()));
    if (failure.step == nullptr) failure = WatchLinks(env);
    if (failure.step != nullptr) {
      Napi::Object result = Napi::Object::New(env);
      result.Set("step", failure.step);
      result.Set("errno", -failure.error);
      return result;
    }
    on_gone_ = Napi::Persistent(info[1].As<Napi::Function>());
    Ref();
    return env.Undefined();
  }

  void Close(const Info&) {
    if (on_gone_.IsEmpty()) return;
    StopAll();
    on_gone_.Reset();
    on_readable_.Reset();
    Unref();
  }

  Napi::Value Fds(const Info& info) {
    Napi::Array fds = Napi::Array::New(info.Env());
    std::uint32_t index = 0;
    for (const int fd : device_.queues()) fds.Set(index++, fd);
    return fds;
  }

  // The empty string if the device is gone.
  Napi::Value Name(const Info& info) {
    std::string name;
    device_.GetName(&name);
    return Napi::String::New(info.Env(), name);
  }

  Napi::Value GetMtu(const Info& info) { return Result(info, device_.GetMtu()); }

  Napi::Value SetMtu(const Info& info) {
    return Result(info, device_.SetMtu(static_cast<int>(Uint32(info[0]))));
  }

  Napi::Value GetQueueFrames(const Info& info) { return Result(info, device_.GetQueueFrames()); }

  Napi::Value SetQueueFrames(const Info& info) {
    return Result(info, device_.SetQueueFrames(static_cast<int>(Uint32(info[0]))));
  }

  Napi::Value GetMac(const Info& info) {
    MacBytes mac{};
    const int result = device_.GetMac(&mac);
    const std::span<std::uint8_t> into = BytesOf(info[0]);
    if (into.size() != mac.size()) return Result(info, -EINVAL);
    std::copy(mac.begin(), mac.end(), into.begin());
    return Result(info, result);
  }

  Napi::Value SetMac(const Info& info) {
    MacBytes mac{};
    const std::span<std::uint8_t> from = BytesOf(info[0]);
    if (from.size() != mac.size()) return Result(info, -EINVAL);
    std::copy(from.begin(), from.end(), mac.begin());
    return Result(info, device_.SetMac(mac));
  }

  Napi::Value GetFlags(const Info& info) { return Result(info, device_.GetFlags()); }

  Napi::Value SetUp(const Info& info) {
    return Result(info, device_.SetUp(info[0].ToBoolean().Value()));
  }

  Napi::Value IsPersistent(const Info& info) { return Result(info, device_.IsPersistent()); }

  Napi::Value SetPersistent(const Info& info) {
    return Result(info, device_.SetPersistent(info[0].ToBoolean().Value()));
  }

  // (onReadable | undefined). A device that is listened to keeps the process alive.
  Napi::Value Listen(const Info& info) {
    if (device_.queues().empty()) return Result(info, -EBADF);
    if (!info[0].IsFunction()) {
      for (const auto& poll : queue_polls_) poll->Stop();
      on_readable_.Reset();
      return Result(info, 0);
    }
    on_readable_ = Napi::Persistent(info[0].As<Napi::Function>());
    return Result(info, WatchQueues(info.Env()));
  }

  Napi::Value ReadBatch(const Info& info) { return Result(info, device_.Read(SlotsOf(info))); }

  Napi::Value WriteBatch(const Info& info) { return Result(info, device_.Write(SlotsOf(info))); }

  // (buffer, start, end)
  Napi::Value WriteFrame(const Info& info) {
    const std::span<std::uint8_t> bytes = BytesOf(info[0]);
    const std::size_t start = Uint32(info[1]);
    const std::size_t end = Uint32(info[2]);
    if (start > end || end > bytes.size()) return Result(info, -EINVAL);
    return Result(info, device_.WriteFrame(bytes.subspan(start, end - start)));
  }

  static Napi::Value Result(const Info& info, int value) {
    return Napi::Number::New(info.Env(), value);
  }

  // Tells of the device's end even if nobody reads from it: any change of its link is a reason to
  // ask the device whether it is still there. Of others' changes it is not, since to ask waits for
  // the lock that the kernel holds for tens of milliseconds while it removes a link.
  TunFailure WatchLinks(napi_env env) {
    int error = 0;
    link_poll_ = Poll::Create(
        env, device_.control_fd(), [this](bool) { OnLinkEvent(); }, &error);
    if (link_poll_ != nullptr) error = link_poll_->Start(false);
    if (error == 0) return {};
    StopAll();
    return {"watch", -error};
  }

  int WatchQueues(napi_env env) {
    int error = 0;
    for (std::size_t index = queue_polls_.size(); index < device_.queues().size(); index++) {
      auto poll = Poll::Create(
          env, device_.queues()[index], [this](bool alive) { OnQueueEvent(alive); }, &error);
      if (poll == nullptr) return error;
      queue_polls_.push_back(std::move(poll));
    }
    for (const auto& poll : queue_polls_) {
      if (error == 0) error = poll->Start(true);
    }
    return error;
  }

  void OnLinkEvent() {
    if (!device_.DrainLinkEvents()) return;
    std::string name;
    if (device_.GetName(&name) == -ENODEV) OnGone();
  }

  void OnQueueEvent(bool alive) {
    if (alive) {
      Call(on_readable_);
    } else {
      OnGone();
    }
  }

  // A gone device stays readable for ever as far as poll(2) is concerned: nothing may watch it
  // again.
  void OnGone() {
    link_poll_->Close();
    for (const auto& poll : queue_polls_) poll->Close();
    Call(on_gone_);
  }

  // What a listener throws is an uncaught exception, as from any callback of the event loop.
  void Call(const Napi::FunctionReference& listener) {
    if (listener.IsEmpty()) return;
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    listener.MakeCallback(env.Global(), std::initializer_list<napi_value>{});
    if (env.IsExceptionPending()) {
      napi_fatal_exception(env, env.GetAndClearPendingException().Value());
    }
  }

  // libuv lets go of the descriptors before they are closed.
  void StopAll() {
    if (link_poll_ != nullptr) link_poll_->Close();
    for (const auto& poll : queue_polls_) poll->Close();
    queue_polls_.clear();
    device_.Close();
  }

  TunDevice device_;
  std::shared_ptr<Poll> link_poll_;
  std::vector<std::shared_ptr<Poll>> queue_polls_;
  Napi::FunctionReference on_gone_;
  Napi::FunctionReference on_readable_;
};

Napi::Object InitTun(Napi::Env env, Napi::Object exports) {
  exports.Set("Device", DeviceBinding::Class(env));
  return exports;
}

NODE_API_MODULE(tun, InitTun)

}  // namespace weft
