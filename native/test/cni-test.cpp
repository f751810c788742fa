#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <thread>

#include "../cni/exchange.h"
#include "test.hpp"

namespace {

constexpr size_t kLimit = 1 << 16;

Text Empty(size_t limit = kLimit) { return Text{nullptr, 0, 0, limit, false}; }

std::string Taken(Text& text) {
  std::string result(text.bytes == nullptr ? "" : text.bytes, text.length);
  free(text.bytes);
  text = Empty();
  return result;
}

// The value found, or "-".
std::string Find(std::string_view json, const char* key, size_t capacity = 64) {
  std::string copy(json);  // On the heap, so that reading behind it is noticed.
  std::string value(capacity, '#');
  const bool found = FindJsonString(copy.data(), copy.size(), key, value.data(), capacity);
  return found ? std::string(value.c_str()) : "-";
}

Parsing Parse(std::string_view text, Answer* answer) {
  static std::string kept;
  kept = text;
  kept.shrink_to_fit();
  return ParseAnswer(kept.data(), kept.size(), answer);
}

// A socket that listens in a file of its own.
class Listener {
 public:
  Listener() {
    std::snprintf(path_, sizeof path_, "/tmp/weft-cni-test-%d.sock", getpid());
    unlink(path_);
    fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_, sizeof path_);
    CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    CHECK(listen(fd_, 4) == 0);
  }
  ~Listener() {
    close(fd_);
    unlink(path_);
  }
  const char* path() const { return path_; }

  // Takes one connection, reads up to the end of `request`, writes `answer` and hangs up.
  void Serve(const std::string& request, const std::string& answer) {
    const int one = accept(fd_, nullptr, nullptr);
    CHECK(one >= 0);
    std::string heard;
    char chunk[4096];
    while (heard.size() < request.size()) {
      const ssize_t size = read(one, chunk, sizeof chunk);
      CHECK(size > 0);
      heard.append(chunk, static_cast<size_t>(size));
    }
    CHECK(heard == request);
    // In two pieces, as a stream may bring it.
    const size_t half = answer.size() / 2;
    CHECK(write(one, answer.data(), half) == static_cast<ssize_t>(half));
    CHECK(write(one, answer.data() + half, answer.size() - half) ==
          static_cast<ssize_t>(answer.size() - half));
    close(one);
  }

 private:
  char path_[64] = {};
  int fd_ = -1;
};

Outcome Ask(const char* path, Text* request, Text* received, Answer* answer, int64_t ms) {
  return Exchange(path, request, received, answer, NowMs() + ms);
}

}  // namespace

TEST(cni_finds_a_top_level_string) {
  CHECK(Find(R"({"socket":"/run/w.sock"})", "socket") == "/run/w.sock");
  CHECK(Find(R"( { "a" : [1,{"socket":"no"}], "socket" : "\/x\u0041\u00e9" } )", "socket") ==
        "/xA\xc3\xa9");
  CHECK(Find(R"({"a":{"socket":"no"}})", "socket") == "-");
  CHECK(Find(R"({"socket":"a","socket":"b"})", "socket") == "b");
  CHECK(Find(R"({"socket":"a","socket":1})", "socket") == "-");
  CHECK(Find(R"({"x":true,"y":-1e5,"z":null,"socket":"s"})", "socket") == "s");
  CHECK(Find(R"({"x":[],"y":{},"z":[[{}]],"socket":"s"})", "socket") == "s");
}

TEST(cni_finds_nothing_in_what_is_no_object) {
  for (const char* text :
       {"", "[]", "{", "{}", "nonsense", "\"socket\"", R"({"socket")", R"({"socket":)",
        R"({"socket":"a)", R"({"socket":"a\)", R"({"socket":"a")", R"({"socket":"a",)",
        R"({"socket":"\u00zz"})", R"({"socket":"\ud800"})", R"({"socket":"\u0000"})", R"({"a":]})",
        R"({"a" "b"})", R"({1:2,"socket":"a"})", R"({"socket":"\q"})"}) {
    CHECK(Find(text, "socket") == "-");
  }
  CHECK(Find(std::string_view("{\"socket\":\"a\0b\"}", 16), "socket") == "-");
  CHECK(Find(std::string(100000, '[') + "{", "socket") == "-");
  CHECK(Find("{\"a\":" + std::string(100000, '[') + "}", "socket") == "-");
}

TEST(cni_finds_only_what_fits) {
  CHECK(Find(R"({"socket":"abc"})", "socket", 4) == "abc");
  CHECK(Find(R"({"socket":"abcd"})", "socket", 4) == "-");
  CHECK(Find(R"({"socket":"abcd","b":"c"})", "b", 4) == "c");
  CHECK(Find("{\"" + std::string(200, 'k') + "\":1,\"socket\":\"s\"}", "socket") == "s");
}

TEST(cni_escapes_what_json_must) {
  Text text = Empty();
  AppendJsonString(&text, "a\"b\\c\n\x01", 7);
  CHECK(Taken(text) == R"("a\u0022b\u005cc\u000a\u0001")");
  AppendJsonString(&text, "", 0);
  CHECK(Taken(text) == "\"\"");
}

TEST(cni_text_stops_at_its_limit) {
  Text text = Empty(4);
  AppendString(&text, "abc");
  CHECK(!text.failed);
  AppendString(&text, "de");
  CHECK(text.failed);
  AppendString(&text, "f");
  CHECK(Taken(text) == "abc");
}

TEST(cni_request_carries_the_call) {
  Text config = Empty();
  AppendString(&config, "{\"name\":\"n\"}");
  const Variable variables[] = {{"CNI_COMMAND", "ADD"}, {"CNI_ARGS", "A=\"1\""}};
  Text request = Empty();
  BuildRequest(&request, "weft", variables, 2, &config);
  const std::string text = Taken(request);
  const std::string body =
      R"({"plugin":"weft","env":{"CNI_COMMAND":"ADD","CNI_ARGS":"A=\u00221\u0022"},)"
      R"("stdin":"{\u0022name\u0022:\u0022n\u0022}"})";
  CHECK(text.starts_with("POST /v1/cni HTTP/1.1\r\n"));
  CHECK(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n") != std::string::npos);
  CHECK(text.ends_with("\r\n\r\n" + body));
  Text small = Empty(20);
  BuildRequest(&small, "weft", variables, 2, &config);
  CHECK(small.failed);
  free(small.bytes);
  free(config.bytes);
}

TEST(cni_reads_an_answer) {
  const std::string whole = "HTTP/1.1 200 OK\r\nX: y\r\ncontent-LENGTH: 3\r\n\r\nabc";
  Answer answer{};
  for (size_t length = 0; length < whole.size(); length++) {
    CHECK(Parse(whole.substr(0, length), &answer) == PARSE_MORE);
  }
  CHECK(Parse(whole, &answer) == PARSE_DONE);
  CHECK(answer.status == 200 && answer.length == 3 && std::memcmp(answer.body, "abc", 3) == 0);
  CHECK(Parse("HTTP/1.1 204 No Content\r\n\r\n", &answer) == PARSE_DONE);
  CHECK(answer.status == 204 && answer.length == 0);
}

TEST(cni_refuses_what_is_no_answer) {
  Answer answer{};
  for (const char* text :
       {"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "SSH-2.0\r\n", "\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    CHECK(Parse(text, &answer) == PARSE_NONSENSE);
  }
  CHECK(Parse(std::string(20000, 'x'), &answer) == PARSE_NONSENSE);
}

TEST(cni_exchanges_over_a_socket) {
  Listener listener;
  Text request = Empty();
  AppendString(&request, "hello");
  Text received = Empty();
  Answer answer{};
  std::thread server(
      [&] { listener.Serve("hello", "HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\n{}"); });
  CHECK(Ask(listener.path(), &request, &received, &answer, 30000) == EXCHANGED);
  server.join();
  CHECK(answer.status == 422 && std::string_view(answer.body, answer.length) == "{}");
  Taken(received);
  std::thread rude([&] { listener.Serve("hello", "HTTP/1.1 200 OK\r\nCont"); });
  CHECK(Ask(listener.path(), &request, &received, &answer, 30000) == BROKEN_OFF);
  rude.join();
  Taken(received);
  Taken(request);
}

TEST(cni_waits_no_longer_than_told) {
  Listener listener;
  Text request = Empty();
  AppendString(&request, "hello");
  Text received = Empty();
  Answer answer{};
  CHECK(Ask(listener.path(), &request, &received, &answer, 30) == SILENT);
  CHECK(Ask("/tmp/weft-cni-test-none.sock", &request, &received, &answer, 30) == UNREACHABLE);
  CHECK(Ask(std::string(200, 'x').c_str(), &request, &received, &answer, 30) == UNREACHABLE);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(!ReadAll(ends[0], &received, NowMs() + 30));
  CHECK(!received.failed);
  close(ends[1]);
  CHECK(ReadAll(ends[0], &received, NowMs() + 30000));
  close(ends[0]);
  Taken(request);
}
