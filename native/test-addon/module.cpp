// For the TypeScript tests: socket pairs to stand in for TAP queues, and the pure parts of the
// core one call at a time, so that an oracle can be compared with them. The bench finds its loops
// over the core here too (micro.cpp).
#include <fcntl.h>
#include <napi.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cassert>
#include <cstring>
#include <vector>

#include "../core/coalescer.hpp"
#include "../core/neighbour-answer.hpp"
#include "../core/segmenter.hpp"
#include "../core/tables.hpp"
#include "../core/too-big.hpp"
#include "micro.hpp"

namespace weft {
namespace {

using Bytes = Napi::Buffer<uint8_t>;

// socketPair(bufferBytes): two descriptors of a SOCK_SEQPACKET pair, non-blocking.
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  int pair[2];
  [[maybe_unused]] const int result =
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
  assert(result == 0);
  const int bytes = info[0].As<Napi::Number>().Int32Value();
  for (const int fd : pair) {
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  const auto fds = Napi::Array::New(info.Env(), 2);
  fds.Set(0U, pair[0]);
  fds.Set(1U, pair[1]);
  return fds;
}

// read(fd, buffer): bytes read, or the negative errno; -EAGAIN is no exception here.
Napi::Value Read(const Napi::CallbackInfo& info) {
  auto buffer = info[1].As<Bytes>();
  const ssize_t size =
      read(info[0].As<Napi::Number>().Int32Value(), buffer.Data(), buffer.ByteLength());
  return Napi::Number::New(info.Env(), static_cast<double>(size < 0 ? -errno : size));
}

// write(fd, buffer): bytes written, or the negative errno.
Napi::Value Write(const Napi::CallbackInfo& info) {
  const auto buffer = info[1].As<Bytes>();
  const ssize_t size = send(info[0].As<Napi::Number>().Int32Value(), buffer.Data(),
                            buffer.ByteLength(), MSG_NOSIGNAL);
  return Napi::Number::New(info.Env(), static_cast<double>(size < 0 ? -errno : size));
}

VnetHeader VnetOf(const Bytes& bytes) {
  VnetHeader vnet;
  std::memcpy(static_cast<void*>(&vnet), bytes.Data(), kMinVnetBytes);
  return vnet;
}

// segment(vnet header and frame, mtu, partial): the frames, or undefined if they are refused.
Napi::Value Segment(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Bytes>();
  const std::span frame(bytes.Data() + kMinVnetBytes, bytes.Length() - kMinVnetBytes);
  const auto mode = info[2].As<Napi::Boolean>() ? ChecksumMode::kPartial : ChecksumMode::kWhole;
  SegmentPlan plan;
  if (PlanSegments(VnetOf(bytes), frame, info[1].As<Napi::Number>().Uint32Value(), plan) !=
      PlanResult::kOk) {
    return info.Env().Undefined();
  }
  const auto frames = Napi::Array::New(info.Env(), plan.count);
  for (uint32_t i = 0; i < plan.count; i++) {
    uint8_t header[kMaxHeaderBytes];
    const auto payload = WriteSegment(plan, i, mode, header);
    auto segment = Bytes::New(info.Env(), plan.header_bytes + payload.size());
    std::memcpy(segment.Data(), header, plan.header_bytes);
    if (!payload.empty()) {
      std::memcpy(segment.Data() + plan.header_bytes, payload.data(), payload.size());
    }
    frames.Set(i, segment);
  }
  return frames;
}

class Collector final : public FrameSink {
 public:
  explicit Collector(Napi::Env env) : env_(env), frames_(Napi::Array::New(env)) {}

  void WriteFrame(Port&, const VnetHeader& vnet, std::span<iovec> pieces, uint32_t,
                  uint64_t) override {
    pieces[0] = {const_cast<VnetHeader*>(&vnet), kMinVnetBytes};
    size_t size = 0;
    for (const iovec& piece : pieces) size += piece.iov_len;
    auto bytes = Bytes::New(env_, size);
    uint8_t* at = bytes.Data();
    for (const iovec& piece : pieces) {
      std::memcpy(at, piece.iov_base, piece.iov_len);
      at += piece.iov_len;
    }
    frames_.Set(frames_.Length(), bytes);
  }

  Napi::Array frames() const { return frames_; }

 private:
  Napi::Env env_;
  Napi::Array frames_;
};

// coalesce(frames, partial flags): what one receive batch of them writes, each with its vnet
// header.
Napi::Value Coalesce(const Napi::CallbackInfo& info) {
  const auto frames = info[0].As<Napi::Array>();
  const auto partial = info[1].As<Napi::Array>();
  std::vector<std::vector<uint8_t>> buffers;
  for (uint32_t i = 0; i < frames.Length(); i++) {
    const auto frame = frames.Get(i).As<Bytes>();
    buffers.emplace_back(frame.Data(), frame.Data() + frame.Length());
  }
  Collector collector(info.Env());
  Coalescer coalescer(collector, true);
  Port port;
  for (uint32_t i = 0; i < buffers.size(); i++) {
    const bool is_partial = partial.Get(i).As<Napi::Boolean>();
    coalescer.Push(port, buffers[i], is_partial ? InnerChecksum::kPartial : InnerChecksum::kWhole);
  }
  coalescer.Flush();
  return collector.frames();
}

// tooBig(frame, mtu): the message to the frame's sender, or nothing.
Napi::Value TooBig(const Napi::CallbackInfo& info) {
  const auto frame = info[0].As<Bytes>();
  uint8_t answer[kMaxTooBigBytes];
  const uint32_t mtu = info[1].As<Napi::Number>().Uint32Value();
  const uint32_t bytes = WriteTooBig(std::span(frame.Data(), frame.Length()), mtu, answer);
  if (bytes == 0) return info.Env().Undefined();
  return Bytes::Copy(info.Env(), answer, bytes);
}

// answerNeighbour(frame, mac): the answer that `mac` has whatever address is asked for, or
// undefined if the frame is no question.
Napi::Value AnswerNeighbour(const Napi::CallbackInfo& info) {
  const auto frame = info[0].As<Bytes>();
  const auto mac = static_cast<Mac>(info[1].As<Napi::Number>().Int64Value());
  const Question question = ReadQuestion(std::span(frame.Data(), frame.Length()));
  if (question.kind == Question::Kind::kNone) return info.Env().Undefined();
  uint8_t answer[kMaxAnswerBytes];
  const uint32_t bytes = WriteAnswer(question, frame.Data(), mac, answer);
  return Bytes::Copy(info.Env(), answer, bytes);
}

}  // namespace

Napi::Object InitTestAddon(Napi::Env env, Napi::Object exports) {
  exports["socketPair"] = Napi::Function::New<SocketPair>(env);
  exports["read"] = Napi::Function::New<Read>(env);
  exports["write"] = Napi::Function::New<Write>(env);
  exports["segment"] = Napi::Function::New<Segment>(env);
  exports["coalesce"] = Napi::Function::New<Coalesce>(env);
  exports["tooBig"] = Napi::Function::New<TooBig>(env);
  exports["answerNeighbour"] = Napi::Function::New<AnswerNeighbour>(env);
  InitMicro(env, exports);
  return exports;
}

}  // namespace weft

using weft::InitTestAddon;
NODE_API_MODULE(dataplane_test, InitTestAddon)
