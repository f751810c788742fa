// Reading the fast path's programs out of an ELF object, from one that is made here.
#include "../fastpath/object.hpp"

#include <elf.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "test.hpp"

namespace weft::test {
namespace {

constexpr char kNames[] = "\0encap\0remotes";
constexpr uint32_t kEncapAt = 1;
constexpr uint32_t kRemotesAt = 7;
constexpr size_t kInstructions = 3;

// Header, sections, code, names, one symbol and one relocation, in this order.
struct File {
  Elf64_Ehdr header{};
  Elf64_Shdr sections[5]{};
  bpf_insn code[kInstructions]{};
  char names[sizeof kNames];
  char padding[1]{};
  Elf64_Sym symbols[2]{};
  Elf64_Rel relocation{};
};

Elf64_Shdr Section(uint32_t name, uint32_t type, uint64_t offset, uint64_t bytes) {
  Elf64_Shdr section{};
  section.sh_name = name;
  section.sh_type = type;
  section.sh_offset = offset;
  section.sh_size = bytes;
  return section;
}

std::vector<char> MakeObject() {
  File file;
  std::memcpy(file.header.e_ident, ELFMAG, SELFMAG);
  file.header.e_machine = EM_BPF;
  file.header.e_shoff = offsetof(File, sections);
  file.header.e_shnum = 5;
  file.header.e_shstrndx = 2;
  std::memcpy(file.names, kNames, sizeof kNames);
  file.sections[1] = Section(kEncapAt, SHT_PROGBITS, offsetof(File, code), sizeof file.code);
  file.sections[2] = Section(0, SHT_STRTAB, offsetof(File, names), sizeof file.names);
  file.sections[3] = Section(0, SHT_SYMTAB, offsetof(File, symbols), sizeof file.symbols);
  file.sections[3].sh_link = 2;
  file.sections[4] = Section(0, SHT_REL, offsetof(File, relocation), sizeof file.relocation);
  file.sections[4].sh_link = 3;
  file.sections[4].sh_info = 1;
  file.code[2].imm = 42;
  file.symbols[1].st_name = kRemotesAt;
  file.relocation.r_offset = sizeof(bpf_insn);
  file.relocation.r_info = ELF64_R_INFO(1, 1);
  const auto* bytes = reinterpret_cast<const char*>(&file);
  return {bytes, bytes + sizeof file};
}

}  // namespace

TEST(a_section_gives_its_code_and_the_maps_that_it_names) {
  const bpf::Code code = bpf::ReadSection(MakeObject(), "encap");
  CHECK(code.instructions.size() == kInstructions && code.instructions[2].imm == 42);
  CHECK(code.references.size() == 1);
  CHECK(code.references[0].instruction == 1 && code.references[0].map == "remotes");
  CHECK(bpf::ReadSection(MakeObject(), "decap").instructions.empty());
}

TEST(an_object_that_is_cut_short_or_of_another_machine_gives_nothing) {
  const std::vector<char> whole = MakeObject();
  for (size_t bytes = 0; bytes < whole.size(); bytes++) {
    const bpf::Code code = bpf::ReadSection(
        std::vector<char>(whole.begin(), whole.begin() + static_cast<long>(bytes)), "encap");
    CHECK(code.references.empty());
  }
  std::vector<char> strange = whole;
  strange[offsetof(Elf64_Ehdr, e_machine)] = EM_386;
  CHECK(bpf::ReadSection(strange, "encap").instructions.empty());
}

TEST(a_relocation_of_another_kind_is_refused) {
  std::vector<char> object = MakeObject();
  object[offsetof(File, relocation) + offsetof(Elf64_Rel, r_info)] = 7;
  CHECK(bpf::ReadSection(object, "encap").instructions.empty());
}

}  // namespace weft::test
