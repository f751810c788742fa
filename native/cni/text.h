#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes that grow up to a limit. Once an append has failed, for want of memory or because of the
// limit, `failed` stays set and nothing is appended any more: whoever builds a text asks once, at
// its end. `bytes` is freed by the owner.
struct Text {
  char* bytes;
  size_t length;
  size_t capacity;
  size_t limit;
  bool failed;
};

void AppendBytes(struct Text* text, const char* bytes, size_t length);
void AppendString(struct Text* text, const char* string);
void AppendNumber(struct Text* text, size_t number);
// As a JSON string with its quotes. What is no UTF-8 stays what it is.
void AppendJsonString(struct Text* text, const char* bytes, size_t length);

// Finds a string among the keys of a JSON object, not in the objects within it, and writes its
// value with a closing zero. False if `json` is no object, the last such key has no string, the
// value holds a zero or does not fit. What follows the object, and whether its numbers and words
// are well formed, is not looked at: the daemon does that.
bool FindJsonString(const char* json, size_t length, const char* key, char* value, size_t capacity);

#ifdef __cplusplus
}
#endif
