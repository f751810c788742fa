#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_HEAD_BYTES = 16384, MAX_LENGTH_DIGITS = 9 };

void BuildRequest(struct Text* request, const char* plugin, const struct Variable* variables,
                  size_t count, const struct Text* config) {
  struct Text body = {.limit = request->limit};
  AppendString(&body, "{\"plugin\":");
  AppendJsonString(&body, plugin, strlen(plugin));
  AppendString(&body, ",\"env\":{");
  for (size_t index = 0; index < count; index++) {
    if (index > 0) AppendString(&body, ",");
    AppendJsonString(&body, variables[index].name, strlen(variables[index].name));
    AppendString(&body, ":");
    AppendJsonString(&body, variables[index].value, strlen(variables[index].value));
  }
  AppendString(&body, "},\"stdin\":");
  AppendJsonString(&body, config->bytes == NULL ? "" : config->bytes, config->length);
  AppendString(&body, "}");
  AppendString(request, "POST /v1/cni HTTP/1.1\r\nHost: weft\r\nConnection: close\r\n");
  AppendString(request, "Content-Type: application/json\r\nContent-Length: ");
  AppendNumber(request, body.length);
  AppendString(request, "\r\n\r\n");
  AppendBytes(request, body.bytes, body.length);
  if (body.failed) request->failed = true;
  free(body.bytes);
}

static bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// `HTTP/1.1 200 OK`; -1 if it is none.
static int ReadStatus(const char* line, size_t length) {
  static const char PROTOCOL[] = "HTTP/1.1 ";
  const size_t at = sizeof PROTOCOL - 1;
  if (length < at + 3 || memcmp(line, PROTOCOL, at) != 0) return -1;
  if (!IsDigit(line[at]) || !IsDigit(line[at + 1]) || !IsDigit(line[at + 2])) return -1;
  if (length > at + 3 && line[at + 3] != ' ') return -1;
  return (line[at] - '0') * 100 + (line[at + 1] - '0') * 10 + (line[at + 2] - '0');
}

// The value of a Content-Length line, -1 for another line, -2 for a value that is none.
static long ReadLength(const char* line, size_t length) {
  static const char NAME[] = "content-length:";
  const size_t name = sizeof NAME - 1;
  if (length < name || strncasecmp(line, NAME, name) != 0) return -1;
  size_t at = name;
  while (at < length && line[at] == ' ') at++;
  if (at == length || length - at > MAX_LENGTH_DIGITS) return -2;
  long value = 0;
  for (; at < length; at++) {
    if (!IsDigit(line[at])) return -2;
    value = value * 10 + (line[at] - '0');
  }
  return value;
}

static const char* FindLineEnd(const char* from, const char* end) {
  for (const char* at = from; end - at >= 2; at++) {
    if (at[0] == '\r' && at[1] == '\n') return at;
  }
  return NULL;
}

enum Parsing ParseAnswer(const char* bytes, size_t length, struct Answer* answer) {
  const char* end = bytes + length;
  const char* line = bytes;
  long content = -1;
  answer->status = 0;
  for (;;) {
    const char* stop = FindLineEnd(line, end);
    if (stop == NULL) return length > MAX_HEAD_BYTES ? PARSE_NONSENSE : PARSE_MORE;
    const size_t size = (size_t)(stop - line);
    if (line == bytes) {
      answer->status = ReadStatus(line, size);
      if (answer->status < 0) return PARSE_NONSENSE;
    } else if (size == 0) {
      answer->body = stop + 2;
      break;
    } else {
      const long value = ReadLength(line, size);
      if (value == -2 || (value >= 0 && content >= 0)) return PARSE_NONSENSE;
      if (value >= 0) content = value;
    }
    line = stop + 2;
  }
  if (answer->status == 204) content = 0;
  if (content < 0) return PARSE_NONSENSE;
  answer->length = (size_t)content;
  return (size_t)(end - answer->body) < answer->length ? PARSE_MORE : PARSE_DONE;
}

void BuildError(struct Text* text, const char* version, int code, const char* message) {
  AppendString(text, "{\"cniVersion\":");
  AppendJsonString(text, version, strlen(version));
  AppendString(text, ",\"code\":");
  AppendNumber(text, (size_t)code);
  AppendString(text, ",\"msg\":");
  AppendJsonString(text, message, strlen(message));
  AppendString(text, "}\n");
}
