// What the CNI program parses: the config's keys and a daemon's answer. The first byte chooses.
#include <cstring>
#include <string>

#include "../cni/message.h"
#include "input.hpp"

namespace {

using namespace weft::fuzz;

// Whatever is found is a text within its room; to find it again in what it was written to is a
// must.
void FindKey(std::string_view json) {
  char value[32];
  if (!FindJsonString(json.data(), json.size(), "socket", value, sizeof value)) return;
  const size_t length = strnlen(value, sizeof value);
  CHECK(length < sizeof value);
  Text text = {nullptr, 0, 0, 1024, false};
  AppendString(&text, "{\"socket\":");
  AppendJsonString(&text, value, length);
  AppendString(&text, "}");
  CHECK(!text.failed);
  char again[sizeof value];
  CHECK(FindJsonString(text.bytes, text.length, "socket", again, sizeof again));
  CHECK(std::strcmp(value, again) == 0);
  free(text.bytes);
}

// An answer is the same however much of what follows it has come.
void ReadAnswer(std::string_view bytes) {
  Answer answer{};
  if (ParseAnswer(bytes.data(), bytes.size(), &answer) != PARSE_DONE) return;
  CHECK(answer.status >= 0 && answer.status <= 999);
  CHECK(answer.body >= bytes.data() && answer.body + answer.length <= bytes.data() + bytes.size());
  Answer shorter{};
  const auto used = static_cast<size_t>(answer.body + answer.length - bytes.data());
  CHECK(ParseAnswer(bytes.data(), used, &shorter) == PARSE_DONE);
  CHECK(shorter.status == answer.status && shorter.length == answer.length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0)
    FindKey(rest);
  else
    ReadAnswer(rest);
  return 0;
}
