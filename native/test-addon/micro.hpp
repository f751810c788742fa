#pragma once

#include <napi.h>

namespace weft {

// Adds the loops that `npm run bench -- micro` times: each does about as many operations as it is
// asked for, in C++ from end to end, and returns nanoseconds per operation.
void InitMicro(Napi::Env env, Napi::Object exports);

}  // namespace weft
