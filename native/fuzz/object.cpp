// The reader of the fast path's object file. Nobody but who built Weft writes that file; it is read
// with care all the same. Whatever the bytes, what is read lies inside them.
#include "../fastpath/object.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<char> bytes(data, data + size);
  for (const char* section : {"encap", "decap", ""}) {
    const weft::bpf::Code code = weft::bpf::ReadSection(bytes, section);
    if (code.instructions.size() * sizeof(bpf_insn) > size) std::abort();
    for (const auto& reference : code.references) {
      if (reference.map.size() > size) std::abort();
    }
  }
  return 0;
}
