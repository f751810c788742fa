// The `netlink.node` addon: `perform`, in the shape that src/os/netlink/addon.ts states. TypeScript
// has checked every argument; here they are only converted. It waits on a thread of libuv's pool,
// and nothing throws.

#include <napi.h>

#include <string>
#include <utility>
#include <vector>

#include "background.hpp"
#include "transaction.hpp"

namespace weft {

namespace {

std::string StringOf(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

std::vector<uint8_t> BytesOf(const Napi::Value& value) {
  void* data = nullptr;
  std::size_t length = 0;
  if (!value.IsBuffer() || napi_get_buffer_info(value.Env(), value, &data, &length) != napi_ok) {
    return {};
  }
  const auto* bytes = static_cast<const uint8_t*>(data);
  return {bytes, bytes + length};
}

// A patch outside its message is not taken.
std::vector<NetlinkPatch> PatchesOf(const Napi::Value& value, size_t message_bytes) {
  std::vector<NetlinkPatch> patches;
  if (!value.IsArray()) return patches;
  const auto list = value.As<Napi::Array>();
  for (uint32_t index = 0; index < list.Length(); index++) {
    const auto object = list.Get(index).As<Napi::Object>();
    NetlinkPatch patch;
    patch.kind = StringOf(object, "kind") == "fd" ? NetlinkPatch::Kind::kNamespaceFd
                                                  : NetlinkPatch::Kind::kInterfaceIndex;
    patch.at = object.Get("at").As<Napi::Number>().Uint32Value();
    patch.text = StringOf(object, "text");
    if (size_t{patch.at} + sizeof(uint32_t) <= message_bytes) patches.push_back(std::move(patch));
  }
  return patches;
}

NetlinkStep StepOf(const Napi::Object& object) {
  NetlinkStep step;
  step.message = BytesOf(object.Get("message"));
  step.patches = PatchesOf(object.Get("patches"), step.message.size());
  step.removes = StringOf(object, "removes");
  step.path = StringOf(object, "path");
  step.value = StringOf(object, "value");
  return step;
}

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::string netns, std::vector<NetlinkStep> steps)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        netns_(std::move(netns)),
        steps_(std::move(steps)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override { outcome_ = PerformNetlink(netns_, std::move(steps_)); }

  void OnOK() override {
    const Napi::Env env = Env();
    Napi::Object result = Napi::Object::New(env);
    result.Set("failedAt", outcome_.failed_at);
    result.Set("errno", outcome_.error);
    result.Set("why", outcome_.why);
    Napi::Array replies = Napi::Array::New(env, outcome_.replies.size());
    uint32_t index = 0;
    for (const std::vector<uint8_t>& reply : outcome_.replies) {
      replies.Set(index++, Napi::Buffer<uint8_t>::Copy(env, reply.data(), reply.size()));
    }
    result.Set("replies", replies);
    deferred_.Resolve(result);
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::string netns_;
  std::vector<NetlinkStep> steps_;
  NetlinkOutcome outcome_;
};

// (netns, steps) → Promise of { failedAt, errno, why, replies }
Napi::Value Perform(const Napi::CallbackInfo& info) {
  std::vector<NetlinkStep> steps;
  const auto list = info[1].As<Napi::Array>();
  for (uint32_t index = 0; index < list.Length(); index++) {
    steps.push_back(StepOf(list.Get(index).As<Napi::Object>()));
  }
  auto* worker = new Worker(info.Env(), info[0].As<Napi::String>().Utf8Value(), std::move(steps));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  // The threads' code must not be unloaded under them.
  env.AddCleanupHook(AwaitBackground);
  exports.Set("perform", Napi::Function::New(env, Perform, "perform"));
  return exports;
}

}  // namespace

}  // namespace weft

using weft::Init;
NODE_API_MODULE(netlink, Init)
