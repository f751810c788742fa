#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096, MAX_KEY_BYTES = 64 };

static bool Reserve(struct Text* text, size_t more) {
  if (text->failed || more > text->limit || text->length > text->limit - more) {
    text->failed = true;
    return false;
  }
  const size_t needed = text->length + more;
  if (needed <= text->capacity) return true;
  size_t capacity = text->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : text->capacity;
  while (capacity < needed) capacity *= 2;
  char* bytes = realloc(text->bytes, capacity);
  if (bytes == NULL) {
    text->failed = true;
    return false;
  }
  text->bytes = bytes;
  text->capacity = capacity;
  return true;
}

void AppendBytes(struct Text* text, const char* bytes, size_t length) {
  if (length == 0 || !Reserve(text, length)) return;
  memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
}

void AppendString(struct Text* text, const char* string) {
  AppendBytes(text, string, strlen(string));
}

void AppendNumber(struct Text* text, size_t number) {
  char digits[24];
  const int length = snprintf(digits, sizeof digits, "%zu", number);
  AppendBytes(text, digits, (size_t)length);
}

void AppendJsonString(struct Text* text, const char* bytes, size_t length) {
  AppendBytes(text, "\"", 1);
  size_t plain = 0;
  for (size_t at = 0; at < length; at++) {
    const unsigned char byte = (unsigned char)bytes[at];
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    AppendBytes(text, bytes + plain, at - plain);
    char escaped[8];
    const int size = snprintf(escaped, sizeof escaped, "\\u%04x", byte);
    AppendBytes(text, escaped, (size_t)size);
    plain = at + 1;
  }
  AppendBytes(text, bytes + plain, length - plain);
  AppendBytes(text, "\"", 1);
}

// A place in a JSON text. Every function that reads moves `at`, and never beyond `end`.
struct Reader {
  const char* at;
  const char* end;
};

static char Peek(const struct Reader* reader) { return reader->at < reader->end ? *reader->at : 0; }

static void SkipBlanks(struct Reader* reader) {
  while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != 0) {
    reader->at++;
  }
}

static bool Take(struct Reader* reader, char wanted) {
  SkipBlanks(reader);
  if (Peek(reader) != wanted) return false;
  reader->at++;
  return true;
}

// -1 if there are not four hex digits.
static int ReadHex(struct Reader* reader) {
  if (reader->end - reader->at < 4) return -1;
  int value = 0;
  for (int digit = 0; digit < 4; digit++) {
    const char c = *reader->at++;
    const int part = c >= '0' && c <= '9'   ? c - '0'
                     : c >= 'a' && c <= 'f' ? c - 'a' + 10
                     : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                            : -1;
    if (part < 0) return -1;
    value = value * 16 + part;
  }
  return value;
}

// UTF-8 of a code unit (RFC 3629 §3); halves of a pair are refused, since paths have none. Returns
// the bytes written, 0 if there are none to write.
static size_t EncodeUnit(int unit, char out[3]) {
  if (unit <= 0 || (unit >= 0xd800 && unit <= 0xdfff)) return 0;
  if (unit < 0x80) {
    out[0] = (char)unit;
    return 1;
  }
  if (unit < 0x800) {
    out[0] = (char)(0xc0 | unit >> 6);
    out[1] = (char)(0x80 | (unit & 0x3f));
    return 2;
  }
  out[0] = (char)(0xe0 | unit >> 12);
  out[1] = (char)(0x80 | (unit >> 6 & 0x3f));
  out[2] = (char)(0x80 | (unit & 0x3f));
  return 3;
}

// Reads what follows a backslash into `out`; 0 if it is nothing that a text without zeros can hold.
static size_t ReadEscape(struct Reader* reader, char out[3]) {
  static const char LETTERS[] = "\"\\/bfnrt";
  static const char MEANT[] = "\"\\/\b\f\n\r\t";
  const char letter = Peek(reader);
  if (letter == 0) return 0;
  reader->at++;
  if (letter == 'u') return EncodeUnit(ReadHex(reader), out);
  const char* found = strchr(LETTERS, letter);
  if (found == NULL) return 0;
  out[0] = MEANT[found - LETTERS];
  return 1;
}

// How a string was read.
enum Reading {
  // Its end is not there: nothing after it can be read either.
  BROKEN,
  // It is longer than asked for, or holds what can't be told; the reader is behind it.
  SKIPPED,
  READ,
};

// Reads a string, the reader at its quote; writes it with a closing zero if it fits in `capacity`.
static enum Reading ReadString(struct Reader* reader, char* value, size_t capacity) {
  size_t length = 0;
  bool is_whole = capacity > 0;
  reader->at++;
  while (reader->at < reader->end) {
    char piece[3] = {*reader->at++};
    size_t size = 1;
    if (piece[0] == '"') {
      if (is_whole) value[length] = 0;
      return is_whole ? READ : SKIPPED;
    }
    if (piece[0] == '\\') size = ReadEscape(reader, piece);
    if (size == 0 || piece[0] == 0 || length + size >= capacity) is_whole = false;
    if (!is_whole) continue;
    memcpy(value + length, piece, size);
    length += size;
  }
  return BROKEN;
}

// Moves behind a value of any kind. Nesting is counted and not followed: depth costs no stack.
static bool SkipValue(struct Reader* reader) {
  size_t depth = 0;
  for (;;) {
    SkipBlanks(reader);
    const char next = Peek(reader);
    if (next == 0) return false;
    if (next == '"') {
      if (ReadString(reader, NULL, 0) == BROKEN) return false;
    } else if (next == '{' || next == '[') {
      depth++;
      reader->at++;
    } else if (next == '}' || next == ']') {
      if (depth == 0) return false;
      depth--;
      reader->at++;
    } else if (depth > 0 && (next == ',' || next == ':')) {
      reader->at++;
    } else {
      const char* start = reader->at;
      while (reader->at < reader->end && *reader->at != 0 &&
             strchr(",:{}[]\" \t\r\n", *reader->at) == NULL) {
        reader->at++;
      }
      if (reader->at == start) return false;
    }
    if (depth == 0) return true;
  }
}

bool FindJsonString(const char* json, size_t length, const char* key, char* value,
                    size_t capacity) {
  if (length == 0) return false;
  struct Reader reader = {json, json + length};
  bool found = false;
  if (!Take(&reader, '{')) return false;
  if (Take(&reader, '}')) return false;
  do {
    SkipBlanks(&reader);
    if (Peek(&reader) != '"') return false;
    char name[MAX_KEY_BYTES];
    const enum Reading reading = ReadString(&reader, name, sizeof name);
    if (reading == BROKEN || !Take(&reader, ':')) return false;
    const bool is_wanted = reading == READ && strcmp(name, key) == 0;
    SkipBlanks(&reader);
    if (is_wanted && Peek(&reader) == '"') {
      const enum Reading got = ReadString(&reader, value, capacity);
      if (got == BROKEN) return false;
      found = got == READ;
    } else {
      if (is_wanted) found = false;
      if (!SkipValue(&reader)) return false;
    }
  } while (Take(&reader, ','));
  return found && Take(&reader, '}');
}
