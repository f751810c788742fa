// /opt/cni/bin/weft: hands a call of a container runtime (CNI, environment and standard input) to
// Weft's daemon and the daemon's answer back. All that a call means is the daemon's to know; this
// program knows where the daemon is, how long to wait, and what to say when it does not answer.
//
// The socket is the first that is named of: WEFT_SOCKET in CNI_ARGS, the config's key "socket",
// /run/weft/weft.sock.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange.h"

// Codes of the specification's table of well-known errors.
enum {
  CODE_ENVIRONMENT = 4,
  CODE_IO = 5,
  CODE_CONFIG = 7,
  CODE_TRY_LATER = 11,
  CODE_UNAVAILABLE = 50,
};

enum {
  MAX_CONFIG_BYTES = 1 << 20,
  // Every byte of a config may have to be escaped.
  MAX_REQUEST_BYTES = 8 << 20,
  MAX_ANSWER_BYTES = 4 << 20,
  MAX_VERSION_BYTES = 16,
  MAX_PATH_BYTES = 4096,
  // Longer than the daemon takes for anything; runtimes give up after minutes.
  CALL_MS = 60000,
  // A runtime asks again and again.
  STATUS_MS = 5000,
};

static const char DEFAULT_SOCKET[] = "/run/weft/weft.sock";
static const char NEWEST_VERSION[] = "1.1.0";
static const char SUPPORTED[] =
    ",\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";

// All that is known of the call by the time something has to be said.
struct Call {
  const char* command;
  char version[MAX_VERSION_BYTES];
  struct Text config;
};

static bool Print(const char* bytes, size_t length) {
  return fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0;
}

// Prints the error document; the program's exit status.
static int Fail(const struct Call* call, int code, const char* message) {
  struct Text text = {.limit = MAX_REQUEST_BYTES};
  BuildError(&text, call->version, code, message);
  if (!text.failed) Print(text.bytes, text.length);
  free(text.bytes);
  return 1;
}

static int FailAt(const struct Call* call, int code, const char* socket_path, const char* what) {
  char message[MAX_PATH_BYTES + 256];
  snprintf(message, sizeof message, "The Weft daemon at %s %s.", socket_path, what);
  return Fail(call, code, message);
}

static const char* Environment(const char* name) {
  const char* value = getenv(name);
  return value == NULL ? "" : value;
}

// WEFT_SOCKET among the arguments `K=V;K=V`.
static bool FindArgument(const char* arguments, char* value, size_t capacity) {
  static const char NAME[] = "WEFT_SOCKET=";
  const size_t name = sizeof NAME - 1;
  for (const char* at = arguments; *at != 0;) {
    const size_t length = strcspn(at, ";");
    if (length > name && length - name < capacity && strncmp(at, NAME, name) == 0) {
      memcpy(value, at + name, length - name);
      value[length - name] = 0;
      return true;
    }
    at += length + (at[length] == ';');
  }
  return false;
}

static void FindSocket(const struct Text* config, char path[MAX_PATH_BYTES]) {
  if (FindArgument(Environment("CNI_ARGS"), path, MAX_PATH_BYTES)) return;
  if (FindJsonString(config->bytes, config->length, "socket", path, MAX_PATH_BYTES)) return;
  memcpy(path, DEFAULT_SOCKET, sizeof DEFAULT_SOCKET);
}

static int PrintVersions(const struct Call* call) {
  struct Text text = {.limit = MAX_REQUEST_BYTES};
  AppendString(&text, "{\"cniVersion\":");
  AppendJsonString(&text, call->version, strlen(call->version));
  AppendString(&text, SUPPORTED);
  const bool is_printed = !text.failed && Print(text.bytes, text.length);
  free(text.bytes);
  return is_printed ? 0 : 1;
}

// Says what the daemon has said: 200 and 204 are success, 422 is an error document of CNI.
static int Relay(const struct Call* call, const struct Answer* answer, const char* socket_path) {
  if (answer->status == 200 || answer->status == 204) {
    return Print(answer->body, answer->length) ? 0 : 1;
  }
  if (answer->status == 422) {
    Print(answer->body, answer->length);
    return 1;
  }
  return FailAt(call, CODE_IO, socket_path,
                "does not understand the call; is it of another version than this program?");
}

static int Forward(const struct Call* call, const char* plugin) {
  static const char* const NAMES[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
                                      "CNI_IFNAME",  "CNI_ARGS",        "CNI_PATH"};
  enum { COUNT = sizeof NAMES / sizeof NAMES[0] };
  struct Variable variables[COUNT];
  for (size_t index = 0; index < COUNT; index++) {
    variables[index] = (struct Variable){NAMES[index], Environment(NAMES[index])};
  }
  const bool is_status = strcmp(call->command, "STATUS") == 0;
  const int unavailable = is_status ? CODE_UNAVAILABLE : CODE_TRY_LATER;
  char path[MAX_PATH_BYTES];
  FindSocket(&call->config, path);
  struct Text request = {.limit = MAX_REQUEST_BYTES};
  struct Text received = {.limit = MAX_ANSWER_BYTES};
  struct Answer answer;
  BuildRequest(&request, plugin, variables, COUNT, &call->config);
  if (request.failed) return Fail(call, CODE_IO, "There is no memory for the request.");
  const int64_t deadline = NowMs() + (is_status ? STATUS_MS : CALL_MS);
  switch (Exchange(path, &request, &received, &answer, deadline)) {
    case EXCHANGED:
      return Relay(call, &answer, path);
    case UNREACHABLE: {
      char what[160];
      snprintf(what, sizeof what, "can't be reached (%s); start it with \"weft up\"",
               strerror(errno));
      return FailAt(call, unavailable, path, what);
    }
    case SILENT:
      return FailAt(call, unavailable, path, "does not answer; its log may tell why");
    case BROKEN_OFF:
      break;
  }
  return FailAt(call, unavailable, path, "ended the connection before it answered; try again");
}

int main(int count, char** arguments) {
  const char* name = count > 0 ? strrchr(arguments[0], '/') : NULL;
  const char* plugin = name != NULL ? name + 1 : count > 0 ? arguments[0] : "weft";
  struct Call call = {.command = Environment("CNI_COMMAND"), .config = {.limit = MAX_CONFIG_BYTES}};
  memcpy(call.version, NEWEST_VERSION, sizeof NEWEST_VERSION);
  if (call.command[0] == 0) {
    return Fail(&call, CODE_ENVIRONMENT,
                "CNI_COMMAND is not set: this is a CNI plugin of Weft, which a container runtime "
                "calls; for commands of a person there is \"weft\".");
  }
  const bool is_read = ReadAll(STDIN_FILENO, &call.config, NowMs() + STATUS_MS);
  const bool has_version = FindJsonString(call.config.bytes, call.config.length, "cniVersion",
                                          call.version, sizeof call.version);
  if (!has_version) memcpy(call.version, NEWEST_VERSION, sizeof NEWEST_VERSION);
  if (strcmp(call.command, "VERSION") == 0) return PrintVersions(&call);
  if (call.config.failed) {
    return Fail(&call, CODE_CONFIG, "The config on standard input is over 1048576 bytes.");
  }
  if (!is_read) return Fail(&call, CODE_IO, "Standard input does not end, or can't be read.");
  return Forward(&call, plugin);
}
