// The bench's own UDP generator and receiver. iperf3 makes one system call a datagram and tops out
// near what a kernel path carries; this one hands the kernel batches with sendmmsg and recvmmsg, so
// that the path under test is the bottleneck and not the generator.
//
//   udpgen send ADDRESS PORT BYTES SECONDS [RATE] [FLOWS]
//   udpgen repeat ADDRESS PORT HEX SECONDS RATE
//   udpgen receive PORT SECONDS
//
// RATE is in datagrams a second, 0: no limit. `repeat` sends one datagram, given in hexadecimal,
// again and again. SECONDS of `receive` is the longest that it waits.
//
// All print one JSON object on stdout when they end. `receive` prints {"ready":true} on a line of
// its own once its socket is bound, and ends when nothing has come for QUIET_SECONDS after the
// first datagram. A datagram of `send` begins with a header in network byte order:
//
//   0              4              8                             16
//   |  magic (32)  |  flow (32)   |  sequence number (64)       |
//
// The sequence number counts per flow from 0 and lets the receiver see reordering.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  MAGIC = 0x77656674,
  SEND_BATCH = 32,
  RECEIVE_BATCH = 64,
  MAX_FLOWS = 64,
  MAX_BYTES = 65507,
  RECEIVE_BYTES = 2048,
  SEND_BUFFER = 4 << 20,
  RECEIVE_BUFFER = 8 << 20,
  PACING_SLEEP_NS = 20000,
  POLL_MS = 50,
};

static const double QUIET_SECONDS = 0.4;

struct Header {
  uint32_t magic;
  uint32_t flow;
  uint64_t sequence;
};
_Static_assert(sizeof(struct Header) == 16, "the header is 16 bytes on the wire");

static _Noreturn void Fail(const char* what) {
  fprintf(stderr, "udpgen: %s: %s\n", what, strerror(errno));
  exit(1);
}

static _Noreturn void Usage(void) {
  fprintf(stderr,
          "usage: udpgen send ADDRESS PORT BYTES SECONDS [RATE] [FLOWS]\n"
          "       udpgen repeat ADDRESS PORT HEX SECONDS RATE\n"
          "       udpgen receive PORT SECONDS\n");
  exit(2);
}

static double Now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double Number(const char* text, double least, double most) {
  char* end;
  const double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= least && value <= most)) {
    fprintf(stderr, "udpgen: \"%s\" is not a number from %g to %g\n", text, least, most);
    exit(2);
  }
  return value;
}

// Parses an IPv4 or IPv6 literal; returns the length of the address written to `out`.
static socklen_t ParseAddress(const char* text, uint16_t port, struct sockaddr_storage* out) {
  memset(out, 0, sizeof *out);
  struct sockaddr_in* v4 = (struct sockaddr_in*)out;
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof *v4;
  }
  struct sockaddr_in6* v6 = (struct sockaddr_in6*)out;
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
  }
  fprintf(stderr, "udpgen: \"%s\" is neither an IPv4 nor an IPv6 address\n", text);
  exit(2);
}

struct Sender {
  int sockets[MAX_FLOWS];
  uint64_t sequences[MAX_FLOWS];
  uint32_t flows;
  size_t bytes;
  uint8_t* buffers;  // SEND_BATCH datagrams of `bytes`
  struct mmsghdr messages[SEND_BATCH];
  struct iovec slices[SEND_BATCH];
  uint64_t refused;  // calls that failed with ENOBUFS or ECONNREFUSED and were tried again
};

static void OpenSender(struct Sender* sender, const struct sockaddr_storage* to, socklen_t length) {
  for (uint32_t flow = 0; flow < sender->flows; flow++) {
    const int s = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0) Fail("socket");
    const int buffer = SEND_BUFFER;
    // A smaller buffer than asked for only means that the sender blocks earlier.
    setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    if (connect(s, (const struct sockaddr*)to, length) != 0) Fail("connect");
    sender->sockets[flow] = s;
  }
  sender->buffers = calloc(SEND_BATCH, sender->bytes);
  if (sender->buffers == NULL) Fail("calloc");
  for (int i = 0; i < SEND_BATCH; i++) {
    sender->slices[i].iov_base = sender->buffers + (size_t)i * sender->bytes;
    sender->slices[i].iov_len = sender->bytes;
    sender->messages[i].msg_hdr.msg_iov = &sender->slices[i];
    sender->messages[i].msg_hdr.msg_iovlen = 1;
  }
}

// Numbers the first `count` datagrams as the next ones of a flow.
static void Stamp(struct Sender* sender, uint32_t flow, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    const struct Header header = {
        .magic = htobe32(MAGIC),
        .flow = htobe32(flow),
        .sequence = htobe64(sender->sequences[flow] + i),
    };
    memcpy(sender->slices[i].iov_base, &header, sizeof header);
  }
}

// Sends up to `count` datagrams of one flow in one call; returns how many the kernel took.
static unsigned SendBatch(struct Sender* sender, uint32_t flow, unsigned count) {
  const int taken = sendmmsg(sender->sockets[flow], sender->messages, count, 0);
  if (taken < 0) {
    // ECONNREFUSED reports an earlier datagram (the receiver has ended); ENOBUFS a full queue.
    if (errno != ENOBUFS && errno != ECONNREFUSED && errno != EINTR) Fail("sendmmsg");
    sender->refused++;
    return 0;
  }
  sender->sequences[flow] += (unsigned)taken;
  return (unsigned)taken;
}

// How many datagrams are due now at `rate`, at most a batch; sleeps a little when none is.
static unsigned Due(double rate, double elapsed, uint64_t sent) {
  if (rate <= 0) return SEND_BATCH;
  const double behind = elapsed * rate - (double)sent;
  if (behind >= SEND_BATCH) return SEND_BATCH;
  if (behind >= 1) return (unsigned)behind;
  const struct timespec nap = {.tv_nsec = PACING_SLEEP_NS};
  nanosleep(&nap, NULL);
  return 0;
}

// Sends for `seconds` and prints what was sent; the flows take turns.
static void Run(struct Sender* sender, double seconds, double rate, bool isNumbered) {
  const double start = Now();
  uint64_t sent = 0;
  double elapsed = 0;
  for (uint32_t flow = 0; elapsed < seconds; elapsed = Now() - start) {
    const unsigned count = Due(rate, elapsed, sent);
    if (count == 0) continue;
    if (isNumbered) Stamp(sender, flow, count);
    sent += SendBatch(sender, flow, count);
    flow = (flow + 1) % sender->flows;
  }
  printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f,\"refused\":%" PRIu64 "}\n", sent, elapsed,
         sender->refused);
}

static int Send(int argc, char** argv) {
  if (argc < 4 || argc > 6) Usage();
  struct sockaddr_storage to;
  const uint16_t port = (uint16_t)Number(argv[1], 1, 65535);
  const socklen_t length = ParseAddress(argv[0], port, &to);
  static struct Sender sender;
  sender.bytes = (size_t)Number(argv[2], sizeof(struct Header), MAX_BYTES);
  const double seconds = Number(argv[3], 0.001, 3600);
  const double rate = argc > 4 ? Number(argv[4], 0, 1e9) : 0;
  sender.flows = argc > 5 ? (uint32_t)Number(argv[5], 1, MAX_FLOWS) : 1;
  OpenSender(&sender, &to, length);
  Run(&sender, seconds, rate, true);
  return 0;
}

// Reads two hexadecimal digits for each of `bytes`.
static void ParseHex(const char* text, uint8_t* out, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    unsigned value;
    if (sscanf(text + 2 * i, "%2x", &value) != 1) {
      fprintf(stderr, "udpgen: \"%s\" is not hexadecimal\n", text);
      exit(2);
    }
    out[i] = (uint8_t)value;
  }
}

static int Repeat(int argc, char** argv) {
  if (argc != 5) Usage();
  struct sockaddr_storage to;
  const uint16_t port = (uint16_t)Number(argv[1], 1, 65535);
  const socklen_t length = ParseAddress(argv[0], port, &to);
  static struct Sender sender;
  sender.bytes = strlen(argv[2]) / 2;
  if (sender.bytes == 0 || sender.bytes > MAX_BYTES) Usage();
  sender.flows = 1;
  const double seconds = Number(argv[3], 0.001, 3600);
  const double rate = Number(argv[4], 0, 1e9);
  OpenSender(&sender, &to, length);
  for (int i = 0; i < SEND_BATCH; i++) ParseHex(argv[2], sender.slices[i].iov_base, sender.bytes);
  Run(&sender, seconds, rate, false);
  return 0;
}

struct Receiver {
  uint8_t buffers[RECEIVE_BATCH][RECEIVE_BYTES];
  struct mmsghdr messages[RECEIVE_BATCH];
  struct iovec slices[RECEIVE_BATCH];
  uint64_t next[MAX_FLOWS];  // one above the highest sequence number seen
  uint64_t received;
  uint64_t reordered;
  uint64_t foreign;  // datagrams that are not the generator's
  double first;
  double last;
};

static int OpenReceiver(struct Receiver* receiver, uint16_t port) {
  const int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) Fail("socket");
  const int off = 0;
  const int buffer = RECEIVE_BUFFER;
  if (setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) Fail("IPV6_V6ONLY");
  if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
    Fail("SO_RCVBUFFORCE");
  const struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  if (bind(s, (const struct sockaddr*)&any, sizeof any) != 0) Fail("bind");
  for (int i = 0; i < RECEIVE_BATCH; i++) {
    receiver->slices[i].iov_base = receiver->buffers[i];
    receiver->slices[i].iov_len = RECEIVE_BYTES;
    receiver->messages[i].msg_hdr.msg_iov = &receiver->slices[i];
    receiver->messages[i].msg_hdr.msg_iovlen = 1;
  }
  return s;
}

static void Count(struct Receiver* receiver, const uint8_t* datagram, size_t bytes) {
  struct Header header;
  if (bytes < sizeof header) {
    receiver->foreign++;
    return;
  }
  memcpy(&header, datagram, sizeof header);
  const uint32_t flow = be32toh(header.flow);
  if (be32toh(header.magic) != MAGIC || flow >= MAX_FLOWS) {
    receiver->foreign++;
    return;
  }
  const uint64_t sequence = be64toh(header.sequence);
  receiver->received++;
  if (sequence < receiver->next[flow])
    receiver->reordered++;
  else
    receiver->next[flow] = sequence + 1;
}

// Takes what is waiting, at most a batch; returns whether there was anything.
static bool ReceiveBatch(struct Receiver* receiver, int s) {
  const int count = recvmmsg(s, receiver->messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
  if (count <= 0) return false;
  for (int i = 0; i < count; i++) {
    Count(receiver, receiver->buffers[i], receiver->messages[i].msg_len);
  }
  receiver->last = Now();
  if (receiver->first == 0) receiver->first = receiver->last;
  return true;
}

static int Receive(int argc, char** argv) {
  if (argc != 2) Usage();
  static struct Receiver receiver;
  const int s = OpenReceiver(&receiver, (uint16_t)Number(argv[0], 1, 65535));
  const double end = Now() + Number(argv[1], 0.001, 3600);
  puts("{\"ready\":true}");
  fflush(stdout);

  for (double now = Now(); now < end; now = Now()) {
    if (receiver.first > 0 && now - receiver.last > QUIET_SECONDS) break;
    if (ReceiveBatch(&receiver, s)) continue;
    struct pollfd waiting = {.fd = s, .events = POLLIN};
    poll(&waiting, 1, POLL_MS);
  }
  printf("{\"received\":%" PRIu64 ",\"seconds\":%.6f,\"reordered\":%" PRIu64 ",\"foreign\":%" PRIu64
         "}\n",
         receiver.received, receiver.last - receiver.first, receiver.reordered, receiver.foreign);
  return 0;
}

int main(int argc, char** argv) {
  if (argc >= 2 && strcmp(argv[1], "send") == 0) return Send(argc - 2, argv + 2);
  if (argc >= 2 && strcmp(argv[1], "repeat") == 0) return Repeat(argc - 2, argv + 2);
  if (argc >= 2 && strcmp(argv[1], "receive") == 0) return Receive(argc - 2, argv + 2);
  Usage();
}
