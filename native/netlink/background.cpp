#include "background.hpp"

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>

namespace weft {

namespace {

std::mutex mutex;
std::condition_variable changed;
int running = 0;

void Count(int more) {
  const std::lock_guard lock(mutex);
  running += more;
  changed.notify_all();
}

// The job, and what it holds, is gone before it counts as ended.
void* Run(void* argument) {
  std::unique_ptr<std::function<void()>> job(static_cast<std::function<void()>*>(argument));
  (*job)();
  job.reset();
  Count(-1);
  return nullptr;
}

}  // namespace

bool RunInBackground(std::function<void()> job) {
  auto held = std::make_unique<std::function<void()>>(std::move(job));
  Count(1);
  pthread_t thread{};
  if (pthread_create(&thread, nullptr, Run, held.get()) != 0) {
    Count(-1);
    return false;
  }
  // The thread's own.
  static_cast<void>(held.release());
  pthread_detach(thread);
  return true;
}

void AwaitBackground() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [] { return running == 0; });
}

}  // namespace weft
