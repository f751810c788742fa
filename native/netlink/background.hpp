#pragma once

#include <functional>

namespace weft {

// Runs the job on a thread of its own that nobody joins, in the network namespace of the caller.
// False if there is no thread to be had; the job has not run then.
bool RunInBackground(std::function<void()> job);

// Returns when no such job is running.
void AwaitBackground();

}  // namespace weft
