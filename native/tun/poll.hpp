#pragma once

#include <node_api.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <utility>

namespace weft {

// Watches one descriptor for readability in the event loop of an environment (the main thread or a
// worker). Level-triggered. It does not keep the process alive unless told to.
//
// libuv frees nothing at once: a Poll lives until libuv has let go of it, whether its owner closed
// it or the environment is being torn down, which waits for that. The owner closes the descriptor
// after Close.
class Poll {
 public:
  // `alive` is false when the descriptor reported an error and will never be readable again.
  using Listener = std::function<void(bool alive)>;

  // Null if libuv refused; `*error` is then a negative errno.
  static std::shared_ptr<Poll> Create(napi_env env, int fd, Listener listener, int* error);

  // Starts, or changes, the watch.
  int Start(bool keeps_process_alive);
  void Stop();
  // The listener is not called again. Closing twice does nothing.
  void Close();

 private:
  explicit Poll(Listener listener) : listener_(std::move(listener)) {}
  static void OnEvent(uv_poll_t* handle, int status, int events);
  static void OnTeardown(napi_async_cleanup_hook_handle hook, void* data);
  static void OnClosed(uv_handle_t* handle);

  Listener listener_;
  uv_poll_t handle_{};
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool is_closing_ = false;
  // Held while libuv knows the handle.
  std::shared_ptr<Poll> self_;
};

}  // namespace weft
