// A batch of frames cut out of any bytes: as many frames come out as went in, and every byte of
// them.
#include <cstdlib>
#include <vector>

#include "../core/coalescer.hpp"
#include "../core/endian.hpp"
#include "../core/tables.hpp"

namespace {

class Counter final : public weft::FrameSink {
 public:
  uint32_t frames = 0;

  void WriteFrame(weft::Port&, const weft::VnetHeader& vnet, std::span<iovec> pieces,
                  uint32_t joined, uint64_t bytes) override {
    size_t size = 0;
    for (const iovec& piece : pieces.subspan(1)) size += piece.iov_len;
    if (size > bytes || size > 65535 + 22) std::abort();
    if ((joined > 1) != (vnet.gso_type != weft::kGsoNone)) std::abort();
    if (vnet.checksum_start + vnet.checksum_offset + 2U > size) std::abort();
    frames += joined;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::vector<uint8_t>> frames;
  std::vector<bool> partial;
  // Each frame: a flag byte, a length of two bytes, its bytes.
  while (size >= 3) {
    const size_t length = std::min<size_t>(weft::LoadBe16(data + 1), size - 3);
    if (length >= weft::kEthernetBytes) {
      frames.emplace_back(data + 3, data + 3 + length);
      partial.push_back((data[0] & 1) != 0);
    }
    data += 3 + length;
    size -= 3 + length;
  }
  Counter counter;
  weft::Coalescer coalescer(counter, true);
  weft::Port port;
  for (size_t i = 0; i < frames.size(); i++) {
    coalescer.Push(port, frames[i],
                   partial[i] ? weft::InnerChecksum::kPartial : weft::InnerChecksum::kWhole);
  }
  coalescer.Flush();
  if (counter.frames != frames.size()) std::abort();
  return 0;
}
