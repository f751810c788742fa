#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

// Reads what `clang -target bpf` makes of fast-path.bpf.c: an ELF object in which each program is a
// section of its own and names maps that it does not define.
namespace weft::bpf {

struct MapReference {
  size_t instruction;
  std::string map;
};

struct Code {
  std::vector<bpf_insn> instructions;
  std::vector<MapReference> references;
};

// The code of a section; empty if the bytes are no such object or have no such section.
Code ReadSection(const std::vector<char>& object, const char* section);

// The bytes of a file; empty if it can't be read, with errno set.
std::vector<char> ReadFile(const char* path);

}  // namespace weft::bpf
