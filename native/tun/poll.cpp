#include "poll.hpp"

#include <cerrno>
#include <utility>

namespace weft {

std::shared_ptr<Poll> Poll::Create(napi_env env, int fd, Listener listener, int* error) {
  uv_loop_t* loop = nullptr;
  *error = napi_get_uv_event_loop(env, &loop) == napi_ok ? 0 : -ENOTSUP;
  if (*error != 0) return nullptr;
  std::shared_ptr<Poll> poll(new Poll(std::move(listener)));
  *error = uv_poll_init(loop, &poll->handle_, fd);
  if (*error != 0) return nullptr;
  poll->handle_.data = poll.get();
  poll->self_ = poll;
  napi_add_async_cleanup_hook(env, OnTeardown, poll.get(), &poll->hook_);
  return poll;
}

int Poll::Start(bool keeps_process_alive) {
  if (is_closing_) return -EBADF;
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_);
  if (keeps_process_alive) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
  return uv_poll_start(&handle_, UV_READABLE, OnEvent);
}

void Poll::Stop() {
  if (!is_closing_) uv_poll_stop(&handle_);
}

void Poll::Close() {
  if (std::exchange(is_closing_, true)) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), OnClosed);
}

void Poll::OnEvent(uv_poll_t* handle, int status, int) {
  auto* poll = static_cast<Poll*>(handle->data);
  // The listener may close this very Poll.
  const std::shared_ptr<Poll> alive = poll->self_;
  poll->listener_(status >= 0);
}

void Poll::OnTeardown(napi_async_cleanup_hook_handle, void* data) {
  static_cast<Poll*>(data)->Close();
}

void Poll::OnClosed(uv_handle_t* handle) {
  const std::shared_ptr<Poll> last = std::move(static_cast<Poll*>(handle->data)->self_);
  napi_remove_async_cleanup_hook(last->hook_);
}

}  // namespace weft
