// The relocations that ld.so (or a static-PIE itself) applies, one at a time: RELA, REL, RELR and
// the PLT's, found through the dynamic segment.
// Source: gABI "Relocation", "Relative Relocation Table"; x86-64 psABI 4.4.
#ifndef SYSREWRITE_REWRITER_RELOCATIONS_H_
#define SYSREWRITE_REWRITER_RELOCATIONS_H_

#include "rewriter/elf_image.h"

namespace sysrewrite {

struct Relocation {
  Vaddr place;          // where it writes
  uint64_t target = 0;  // its symbol's value, if it has one, and its addend: the address written
  uint64_t width = 8;   // bytes that it writes
  uint64_t symbol = 0;  // its symbol's index; 0: none
};

// TLSDESC writes two words. What is not known here may write as much, and no relocation more.
inline constexpr uint64_t kWidestRelocation = 16;

inline uint64_t relocation_width(uint32_t type) {
  switch (type) {
    case elf::kR64:
    case elf::kRGlobDat:
    case elf::kRJumpSlot:
    case elf::kRRelative:
    case elf::kRDtpmod64:
    case elf::kRDtpoff64:
    case elf::kRTpoff64:
    case elf::kRPc64:
    case elf::kRIrelative:
    case elf::kRRelative64:
      return 8;
    case elf::kRPc32:
    case elf::kR32:
    case elf::kR32S:
      return 4;
    default:
      return kWidestRelocation;
  }
}

// Calls visit(const Relocation&) for each. Tables that do not lie in the file are passed over:
// ld.so could not read them either.
template <typename Visit>
void for_each_relocation(const ElfImage& image, Visit visit) {
  const auto table = [&image](int64_t address_tag, int64_t size_tag) {
    const auto address = image.dynamic(address_tag);
    const auto size = image.dynamic(size_tag);
    if (!address || !size) return ByteView{};
    const auto bytes = image.bytes_from({*address});
    return bytes ? slice(*bytes, 0, *size).value_or(ByteView{}) : ByteView{};
  };
  const auto word_at = [&image](uint64_t address) {
    const auto bytes = image.bytes_from({address});
    return bytes ? load<uint64_t>(*bytes, 0).value_or(0) : 0;
  };
  const auto symbols = image.bytes_from({image.dynamic(elf::kDtSymtab).value_or(0)});
  const auto described = [&symbols](uint64_t place, uint64_t info, uint64_t addend) {
    const uint64_t index = info >> 32;
    const auto symbol =
        index != 0 && symbols ? load<elf::Sym>(*symbols, index * sizeof(elf::Sym)) : std::nullopt;
    return Relocation{{place},
                      (symbol ? symbol->value : 0) + addend,
                      relocation_width(static_cast<uint32_t>(info)),
                      index};
  };
  for (const ByteView relas :
       {table(elf::kDtRela, elf::kDtRelasz), table(elf::kDtJmprel, elf::kDtPltrelsz)}) {
    for (uint64_t at = 0; range_fits(at, sizeof(elf::Rela), relas.size());
         at += sizeof(elf::Rela)) {
      const auto rela = *load<elf::Rela>(relas, at);
      visit(described(rela.offset, rela.info, static_cast<uint64_t>(rela.addend)));
    }
  }
  const ByteView rels = table(elf::kDtRel, elf::kDtRelsz);
  for (uint64_t at = 0; range_fits(at, 16, rels.size()); at += 16) {
    const uint64_t place = *load<uint64_t>(rels, at);
    visit(described(place, *load<uint64_t>(rels, at + 8), word_at(place)));
  }
  const ByteView relrs = table(elf::kDtRelr, elf::kDtRelrsz);
  uint64_t next = 0;
  for (uint64_t at = 0; range_fits(at, 8, relrs.size()); at += 8) {
    const uint64_t entry = *load<uint64_t>(relrs, at);
    if ((entry & 1) == 0) {
      visit(Relocation{{entry}, word_at(entry)});
      next = entry + 8;
      continue;
    }
    for (unsigned bit = 1; bit < 64; ++bit) {
      const uint64_t place = next + uint64_t{bit - 1} * 8;
      if ((entry >> bit & 1) != 0) visit(Relocation{{place}, word_at(place)});
    }
    next += uint64_t{63} * 8;
  }
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_RELOCATIONS_H_
