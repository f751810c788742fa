// The questions that are answered for endpoints elsewhere: ARP requests and neighbour
// solicitations. The input is a frame, the first byte of which chooses what is put right in the
// rest: the fuzzer can't guess a checksum.
#include <vector>

#include "../core/neighbour-answer.hpp"
#include "../core/packet.hpp"
#include "../test/frames.hpp"
#include "input.hpp"

namespace weft {
namespace {

constexpr Mac kMac = 0x02005e100002;
constexpr uint32_t kArpAnswerBytes = 42;
constexpr uint32_t kMessageAt = kEthernetBytes + kIpv6Bytes;
constexpr uint8_t kIcmpV6 = 58;

// By the letter of RFC 8200 §8.1 and RFC 1071: the checksum over pseudo header and message.
uint16_t SlowMessageChecksum(std::span<const uint8_t> frame, size_t bytes) {
  const uint8_t* ip = &frame[kEthernetBytes];
  std::vector<uint8_t> all(ip + ipv6::kAddresses, ip + kIpv6Bytes);
  all.insert(all.end(), {0, 0, static_cast<uint8_t>(bytes >> 8), static_cast<uint8_t>(bytes), 0, 0,
                         0, kIcmpV6});
  all.insert(all.end(), frame.begin() + kMessageAt,
             frame.begin() + kMessageAt + static_cast<ptrdiff_t>(bytes));
  return test::SlowChecksum(all);
}

// Makes a solicitation of what is long enough for one.
void PutRight(uint8_t choice, std::span<uint8_t> frame) {
  if ((choice & 1) == 0 || frame.size() < kMessageAt + 24) return;
  uint8_t* ip = &frame[kEthernetBytes];
  const size_t bytes = frame.size() - kMessageAt;
  StoreBe16(&frame[ethernet::kAddressesBytes], 0x86dd);
  ip[0] = 0x60;
  ip[ipv6::kNextHeader] = kIcmpV6;
  ip[ipv6::kHopLimit] = 255;
  StoreBe16(ip + ipv6::kPayloadLength, static_cast<uint16_t>(bytes));
  frame[kMessageAt] = 135;
  frame[kMessageAt + 1] = 0;
  if ((choice & 2) != 0) {
    constexpr uint8_t kGroup[] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::copy(std::begin(kGroup), std::end(kGroup), ip + ipv6::kAddresses + 16);
    std::copy_n(&frame[kMessageAt + 8 + 13], 3, ip + ipv6::kAddresses + 29);
  }
  StoreBe16(&frame[kMessageAt + 2], 0);
  StoreBe16(&frame[kMessageAt + 2], SlowMessageChecksum(frame, bytes));
}

// What every answer is: from the endpoint to the asker, of right length and checksum.
void CheckAnswer(const Question& question, std::span<const uint8_t> frame,
                 std::span<const uint8_t> answer) {
  const Mac asker = LoadBe48(&frame[ethernet::kSource]);
  CHECK(LoadBe48(&answer[ethernet::kDestination]) == asker);
  CHECK(LoadBe48(&answer[ethernet::kSource]) == kMac);
  const uint8_t* packet = &answer[kEthernetBytes];
  if (question.kind == Question::Kind::kArp) {
    CHECK(answer.size() == kArpAnswerBytes);
    CHECK(LoadBe48(packet + 8) == kMac && KeyOfIpv4(LoadBe32(packet + 14)) == question.target);
    CHECK(LoadBe48(packet + 18) == asker && LoadBe32(packet + 24) != LoadBe32(packet + 14));
    return;
  }
  CHECK(answer.size() == kMaxAnswerBytes);
  CHECK(KeyOfIpv6(packet + ipv6::kAddresses) == question.target);
  CHECK(KeyOfIpv6(&answer[kMessageAt + 8]) == question.target);
  // A sum that holds its own complement folds to zero.
  CHECK(SlowMessageChecksum(answer, answer.size() - kMessageAt) == 0);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  if (size < 1 + kEthernetBytes) return 0;
  std::vector<uint8_t> frame(data + 1, data + size);
  PutRight(data[0], frame);
  const Question question = ReadQuestion(frame);
  if (question.kind == Question::Kind::kNone) return 0;
  std::array<uint8_t, kMaxAnswerBytes> answer;
  const uint32_t bytes = WriteAnswer(question, frame.data(), kMac, answer.data());
  CheckAnswer(question, frame, std::span(answer).first(bytes));
  // An answer is no question.
  CHECK(ReadQuestion(std::span(answer).first(bytes)).kind == Question::Kind::kNone);
  // What stands behind the packet changes nothing.
  frame.insert(frame.end(), 7, 0xa5);
  const Question padded = ReadQuestion(frame);
  CHECK(padded.kind == question.kind && padded.target == question.target);
  return 0;
}
