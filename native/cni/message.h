#pragma once

#include "text.h"

#ifdef __cplusplus
extern "C" {
#endif

// One environment variable of a call; a value that is not set is the empty string.
struct Variable {
  const char* name;
  const char* value;
};

// The HTTP request that carries a call: POST /v1/cni with a JSON object of the program's own name
// (`plugin`), the variables (`env`) and standard input as it came (`stdin`).
void BuildRequest(struct Text* request, const char* plugin, const struct Variable* variables,
                  size_t count, const struct Text* config);

// What a daemon answered; `body` lies in the bytes that were parsed.
struct Answer {
  int status;
  const char* body;
  size_t length;
};

enum Parsing { PARSE_MORE, PARSE_DONE, PARSE_NONSENSE };

// Reads an HTTP/1.1 answer with a Content-Length, or with status 204. PARSE_MORE while its end is
// not there yet.
enum Parsing ParseAnswer(const char* bytes, size_t length, struct Answer* answer);

// The error document of CNI's specification. `version` is what the config names.
void BuildError(struct Text* text, const char* version, int code, const char* message);

#ifdef __cplusplus
}
#endif
