#pragma once

#include <stdint.h>

#include "message.h"

#ifdef __cplusplus
extern "C" {
#endif

// Monotonic time in milliseconds.
int64_t NowMs(void);

// Reads a descriptor to its end into `text`; false if that is not done by `deadline`, it can't be
// read, or there is more than the text's limit (then `failed` is set).
bool ReadAll(int fd, struct Text* text, int64_t deadline);

enum Outcome {
  EXCHANGED,
  // Nothing listens at the socket, or it can't be reached.
  UNREACHABLE,
  // It listens, and the whole answer was not there in time.
  SILENT,
  // The connection ended before the answer did, or what came is no answer.
  BROKEN_OFF,
};

// Sends a request to a unix socket and waits for the answer, which lies in `received`. `errno`
// tells why it is UNREACHABLE.
enum Outcome Exchange(const char* socket_path, const struct Text* request, struct Text* received,
                      struct Answer* answer, int64_t deadline);

#ifdef __cplusplus
}
#endif
