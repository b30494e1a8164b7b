#include "rewriter/verify_original.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace sysrewrite {

namespace {

// Bytes [from, to) of the file.
struct HeaderBytes {
  uint64_t from, to;
  const char* what;

  bool meets(uint64_t offset, uint64_t size) const { return offset < to && from < offset + size; }
};

std::vector<HeaderBytes> header_bytes(const OriginalImage& original) {
  const elf::Ehdr& header = original.header();
  std::vector<HeaderBytes> parts{
      {0, sizeof(elf::Ehdr), "the ELF header"},
      {header.phoff, header.phoff + uint64_t{header.phnum} * sizeof(elf::Phdr),
       "the program headers"}};
  const uint64_t sections = original.sections().size();
  if (sections != 0)
    parts.push_back(
        {header.shoff, header.shoff + sections * sizeof(elf::Shdr), "the section headers"});
  return parts;
}

class OriginalProof {
 public:
  OriginalProof(const OriginalImage& original, Findings& findings)
      : original_(original), findings_(findings) {}

  void check() {
    check_identity();
    uint64_t where = original_.header().phoff;
    unsigned paths = 0;
    for (const elf::Phdr& header : original_.program_headers()) {
      if (header.type == elf::kPtLoad) check_load(header, where);
      if (header.type == elf::kPtInterp && paths++ == 0) check_path(header);
      where += sizeof(elf::Phdr);
    }
    if (paths > 1)
      findings_.at_offset(original_.header().phoff, "the original's program headers",
                          "more than one PT_INTERP", "one at most");
  }

 private:
  // Source: Documentation/arch/x86/x86_64/mm.rst, 4-level paging.
  static constexpr uint64_t kHighestUserAddress = 0x7ffffffff000;
  static constexpr uint64_t kLongestPath = 4096;  // PATH_MAX, NUL included

  void check_identity() {
    const elf::Ehdr& header = original_.header();
    constexpr uint8_t kIdent[] = {0x7f, 'E', 'L', 'F', elf::kClass64, elf::kDataLittle, 1};
    const bool known = std::memcmp(original_.bytes().data(), kIdent, sizeof(kIdent)) == 0 &&
                       header.machine == elf::kMachineX8664 &&
                       (header.type == elf::kTypeExec || header.type == elf::kTypeDyn);
    if (!known)
      findings_.at_offset(0, "the original's ELF header",
                          hex_text(original_.bytes().first(sizeof(elf::Ehdr))),
                          "one of a 64-bit little-endian program or library for x86-64");
  }

  void refuse(uint64_t where, const elf::Phdr& header, const char* expected) {
    findings_.at_offset(where, "a program header of the original",
                        fmt::format("{:#x} bytes at offset {:#x}, {:#x} at address {:#x}",
                                    header.filesz, header.offset, header.memsz, header.vaddr),
                        expected);
  }

  // What it maps is what was read, by whoever maps it: the kernel leaves out a segment that takes
  // no memory, ld.so maps its bytes all the same; and a file is mapped by whole pages.
  void check_load(const elf::Phdr& load, uint64_t where) {
    if (load.filesz > load.memsz)
      return refuse(where, load, "no more bytes in the file than in memory");
    const auto end = checked_add(load.vaddr, load.memsz);
    if (!end || *end > kHighestUserAddress) return refuse(where, load, "a user's addresses");
    if (load.memsz == 0) return;
    if ((load.vaddr - load.offset) % kPageSize != 0)
      return refuse(where, load, "an address and an offset that are the same within a page");
    if ((load.align & (load.align - 1)) != 0 || load.align > kHighestUserAddress)
      refuse(where, load, "an alignment that is a power of two");
  }

  // The kernel starts nothing whose path does not end in NUL.
  void check_path(const elf::Phdr& header) {
    const auto path = slice(original_.bytes(), header.offset, header.filesz);
    if (!path || path->size() < 2 || path->size() > kLongestPath || path->back() != std::byte{0})
      findings_.at_offset(
          header.offset, "the original interpreter path",
          path ? hex_text(path->first(std::min<size_t>(path->size(), 32))) : "one outside the file",
          "a path that ends in NUL");
    for (const HeaderBytes& part : header_bytes(original_))
      if (part.to <= original_.bytes().size() && part.meets(header.offset, header.filesz))
        return findings_.at_offset(header.offset, "the original interpreter path",
                                   fmt::format("it in {}", part.what), "bytes of its own");
  }

  const OriginalImage& original_;
  Findings& findings_;
};

}  // namespace

void verify_original(const OriginalImage& original, Findings& findings) {
  OriginalProof(original, findings).check();
}

void verify_headers_untouched(const OriginalImage& original, const std::vector<SiteReading>& sites,
                              Findings& findings) {
  const std::vector<HeaderBytes> parts = header_bytes(original);
  const auto check = [&](Vaddr from, uint64_t size, const char* what) {
    const elf::Phdr* load = original.code_around(from, 1);
    if (load == nullptr) return;  // found when it was put back
    const uint64_t offset = load->offset + (from.value - load->vaddr);
    for (const HeaderBytes& part : parts)
      if (part.meets(offset, size))
        findings.at_address(from, what, fmt::format("it in {}", part.what),
                            "that who reads the headers finds them as they were");
  };
  for (const SiteReading& site : sites) {
    if (site.record.tier == Tier::kNative) continue;
    check(site.window, site.record.window, "a window");
    if (site.springboard) check(*site.springboard, kSpringboardSize, "a springboard");
  }
}

}  // namespace sysrewrite
