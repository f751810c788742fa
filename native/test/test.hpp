#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

// A test is a function that returns; a failed CHECK names its line and ends the program, so that
// the sanitizers' reports and ours read alike.
namespace weft::test {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

struct Registration {
  Registration(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

[[noreturn]] inline void Fail(const char* file, int line, const char* what) {
  const int error = errno;
  std::fprintf(stderr, "%s:%d: not true: %s (errno %d)\n", file, line, what, error);
  std::abort();
}

}  // namespace weft::test

#define TEST(name)                                                         \
  static void name();                                                      \
  static const weft::test::Registration registration_##name(#name, &name); \
  static void name()

#define CHECK(condition) ((condition) ? void() : weft::test::Fail(__FILE__, __LINE__, #condition))
