#define _GNU_SOURCE
#include "exchange.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 16384, FULL_BACKLOG_WAIT_MS = 5 };

int64_t NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// False once the deadline has passed.
static bool WaitFor(int fd, short events, int64_t deadline) {
  for (;;) {
    const int64_t left = deadline - NowMs();
    if (left <= 0) return false;
    struct pollfd one = {.fd = fd, .events = events};
    const int ready = poll(&one, 1, left > 60000 ? 60000 : (int)left);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool ReadAll(int fd, struct Text* text, int64_t deadline) {
  char chunk[CHUNK_BYTES];
  for (;;) {
    if (!WaitFor(fd, POLLIN, deadline)) return false;
    const ssize_t size = read(fd, chunk, sizeof chunk);
    if (size == 0) return !text->failed;
    if (size < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (size > 0) AppendBytes(text, chunk, (size_t)size);
    if (text->failed) return false;
  }
}

// A connected socket, or -1 with `errno`. A full backlog is waited for: the daemon is busy.
static int Connect(const char* path, int64_t deadline) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const size_t length = strlen(path);
  if (length >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, length + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  while (connect(fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    const int why = errno;
    if ((why != EAGAIN && why != EINTR) || NowMs() >= deadline) {
      close(fd);
      errno = why;
      return -1;
    }
    poll(NULL, 0, FULL_BACKLOG_WAIT_MS);
  }
  return fd;
}

static enum Outcome Send(int fd, const struct Text* request, int64_t deadline) {
  for (size_t sent = 0; sent < request->length;) {
    const ssize_t size = send(fd, request->bytes + sent, request->length - sent, MSG_NOSIGNAL);
    if (size > 0) {
      sent += (size_t)size;
    } else if (errno == EAGAIN) {
      if (!WaitFor(fd, POLLOUT, deadline)) return SILENT;
    } else if (errno != EINTR) {
      // A daemon that refuses a body ends the connection over it, and its answer may be there.
      return errno == EPIPE || errno == ECONNRESET ? EXCHANGED : BROKEN_OFF;
    }
  }
  return EXCHANGED;
}

static enum Outcome Receive(int fd, struct Text* received, struct Answer* answer,
                            int64_t deadline) {
  char chunk[CHUNK_BYTES];
  for (;;) {
    if (!WaitFor(fd, POLLIN, deadline)) return SILENT;
    const ssize_t size = recv(fd, chunk, sizeof chunk, 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return BROKEN_OFF;
    AppendBytes(received, chunk, (size_t)size);
    if (received->failed) return BROKEN_OFF;
    const enum Parsing parsing = ParseAnswer(received->bytes, received->length, answer);
    if (parsing == PARSE_NONSENSE) return BROKEN_OFF;
    if (parsing == PARSE_DONE) return EXCHANGED;
  }
}

enum Outcome Exchange(const char* socket_path, const struct Text* request, struct Text* received,
                      struct Answer* answer, int64_t deadline) {
  const int fd = Connect(socket_path, deadline);
  if (fd < 0) return errno == EAGAIN ? SILENT : UNREACHABLE;
  enum Outcome outcome = Send(fd, request, deadline);
  if (outcome == EXCHANGED) outcome = Receive(fd, received, answer, deadline);
  close(fd);
  return outcome;
}
