#include <unistd.h>

#include <cstring>

#include "test.hpp"

namespace {

// Far above what any test needs, even under the sanitizers on a busy machine.
constexpr unsigned kTestSeconds = 60;

}  // namespace

// Runs every test, or those whose name contains the first argument; prints TAP lines. A test that
// does not end is ended by SIGALRM.

int main(int count, char** arguments) {
  int number = 0;
  for (const weft::test::Case& test : weft::test::Cases()) {
    if (count > 1 && std::strstr(test.name, arguments[1]) == nullptr) continue;
    alarm(kTestSeconds);
    test.run();
    std::printf("ok %d - native %s\n", ++number, test.name);
    std::fflush(stdout);
  }
  std::printf("1..%d\n", number);
  return number > 0 ? 0 : 1;
}
