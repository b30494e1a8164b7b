#include "rewriter/read_once.h"

#include <fmt/format.h>

#include "rewriter/overlap.h"
#include "rewriter/patch_points.h"

namespace sysrewrite {

namespace {

std::optional<Error> check_disjoint(const ElfImage& image, std::vector<Claim> claims,
                                    const char* what) {
  const auto overlap = find_overlap(std::move(claims));
  if (!overlap) return std::nullopt;
  const auto& [first, second] = *overlap;
  return Error{ErrorCode::kDamagedFile, image.header().shoff + second.by * sizeof(elf::Shdr),
               fmt::format("the sections {} and {}, symbol tables or lists of places that a tracer "
                           "writes over, share {}",
                           first.by, second.by, what)};
}

}  // namespace

std::optional<Error> check_read_once(const ElfImage& image) {
  std::vector<Claim> bytes, addresses;
  for (size_t i = 0; i < image.sections().size(); ++i) {
    const elf::Shdr& section = image.sections()[i];
    const bool symbols = section.type == elf::kShtSymtab || section.type == elf::kShtDynsym;
    const auto list = patch_list_named(image.section_name(section));
    if (!symbols && !list) continue;
    if (slice(image.bytes(), section.offset, section.size))
      bytes.push_back({section.offset, section.offset + section.size, i});
    // Relocations say by the address which list they write to. Probes have none.
    const uint64_t end = checked_add(section.addr, section.size).value_or(UINT64_MAX);
    if (list && *list != PatchList::kProbes) addresses.push_back({section.addr, end, i});
  }
  if (auto error = check_disjoint(image, std::move(bytes), "bytes of the file")) return error;
  return check_disjoint(image, std::move(addresses), "addresses");
}

}  // namespace sysrewrite
