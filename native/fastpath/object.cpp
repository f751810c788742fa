#include "object.hpp"

#include <elf.h>

#include <cstdio>
#include <cstring>
#include <optional>

namespace weft::bpf {
namespace {

// elf.h of Debian 12 does not name it: a 64-bit immediate that a symbol's value goes into.
constexpr uint32_t kRelocation64 = 1;

using Bytes = std::vector<char>;

// A record at an offset, if it lies inside.
template <typename T>
std::optional<T> At(const Bytes& bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// A string that ends inside; empty if it does not.
std::string TextAt(const Bytes& bytes, uint64_t offset) {
  if (offset >= bytes.size()) return {};
  const size_t most = bytes.size() - offset;
  const size_t length = strnlen(bytes.data() + offset, most);
  return length == most ? std::string() : std::string(bytes.data() + offset, length);
}

class Object {
 public:
  explicit Object(const Bytes& bytes) : bytes_(bytes), header_(At<Elf64_Ehdr>(bytes, 0)) {
    if (!header_ || std::memcmp(header_->e_ident, ELFMAG, SELFMAG) != 0 ||
        header_->e_machine != EM_BPF) {
      header_.reset();
    }
  }

  std::optional<Elf64_Shdr> Section(uint32_t index) const {
    if (!header_ || index >= header_->e_shnum) return std::nullopt;
    return At<Elf64_Shdr>(bytes_, header_->e_shoff + uint64_t{index} * sizeof(Elf64_Shdr));
  }

  // Index of the first section that `matches`, or 0, which is none.
  template <typename Matches>
  uint32_t Find(Matches matches) const {
    for (uint32_t i = 1; header_ && i < header_->e_shnum; i++) {
      const auto section = Section(i);
      if (section && matches(*section)) return i;
    }
    return 0;
  }

  std::string NameOf(const Elf64_Shdr& section) const {
    const auto names = Section(header_->e_shstrndx);
    return names ? TextAt(bytes_, names->sh_offset + section.sh_name) : std::string();
  }

  std::string SymbolName(const Elf64_Shdr& relocations, uint32_t index) const {
    const auto symbols = Section(relocations.sh_link);
    if (!symbols) return {};
    const auto symbol =
        At<Elf64_Sym>(bytes_, symbols->sh_offset + uint64_t{index} * sizeof(Elf64_Sym));
    const auto names = Section(symbols->sh_link);
    return symbol && names ? TextAt(bytes_, names->sh_offset + symbol->st_name) : std::string();
  }

 private:
  const Bytes& bytes_;
  std::optional<Elf64_Ehdr> header_;
};

}  // namespace

Code ReadSection(const Bytes& bytes, const char* name) {
  const Object object(bytes);
  Code code;
  const uint32_t index = object.Find([&](const Elf64_Shdr& section) {
    return section.sh_type == SHT_PROGBITS && object.NameOf(section) == name;
  });
  if (index == 0) return code;
  const Elf64_Shdr section = *object.Section(index);
  for (uint64_t at = 0; at < section.sh_size; at += sizeof(bpf_insn)) {
    const auto instruction = At<bpf_insn>(bytes, section.sh_offset + at);
    if (!instruction) return {};
    code.instructions.push_back(*instruction);
  }
  const uint32_t found = object.Find(
      [&](const Elf64_Shdr& each) { return each.sh_type == SHT_REL && each.sh_info == index; });
  if (found == 0) return code;
  const Elf64_Shdr relocations = *object.Section(found);
  for (uint64_t at = 0; at < relocations.sh_size; at += sizeof(Elf64_Rel)) {
    const auto relocation = At<Elf64_Rel>(bytes, relocations.sh_offset + at);
    if (!relocation || ELF64_R_TYPE(relocation->r_info) != kRelocation64) return {};
    const auto symbol = static_cast<uint32_t>(ELF64_R_SYM(relocation->r_info));
    code.references.push_back(
        {relocation->r_offset / sizeof(bpf_insn), object.SymbolName(relocations, symbol)});
  }
  return code;
}

Bytes ReadFile(const char* path) {
  Bytes bytes;
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return bytes;
  char part[4096];
  for (size_t size; (size = std::fread(part, 1, sizeof part, file)) > 0;) {
    bytes.insert(bytes.end(), part, part + size);
  }
  std::fclose(file);
  return bytes;
}

}  // namespace weft::bpf
