#pragma once

#include <cstdint>
#include <span>

#include "address-key.hpp"
#include "fdb.hpp"

// Answers for endpoints on other hosts, so that their neighbours' questions need not be flooded
// (docs/adr/0018). src/dataplane/neighbour-answer.ts says which questions, and does the same.
namespace weft {

// IPv6 header, advertisement and one option behind an Ethernet header; ARP takes 42.
constexpr uint32_t kMaxAnswerBytes = 86;

struct Question {
  enum class Kind : uint8_t {
    kNone,  // not for us: the frame goes the normal way
    kArp,
    kSolicitation,
  };
  Kind kind = Kind::kNone;
  // Whose MAC is asked for.
  AddressKey target;
};

// What a frame of 14 bytes or more that is sent to a group asks.
Question ReadQuestion(std::span<const uint8_t> frame);

// Writes the answer that `mac` has the address to `answer` (room for kMaxAnswerBytes); returns its
// size.
uint32_t WriteAnswer(const Question& question, const uint8_t* frame, Mac mac, uint8_t* answer);

}  // namespace weft
