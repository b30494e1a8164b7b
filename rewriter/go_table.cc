#include "rewriter/go_table.h"

#include <algorithm>

namespace sysrewrite {

namespace {

constexpr uint32_t kMagic116 = 0xfffffffa, kMagic118 = 0xfffffff0, kMagic120 = 0xfffffff1;

bool is_header(ByteView bytes, uint64_t at) {
  const auto magic = load<uint32_t>(bytes, at);
  if (!magic || (*magic != kMagic116 && *magic != kMagic118 && *magic != kMagic120)) return false;
  const auto rest = load<uint32_t>(bytes, at + 4);
  return rest && *rest == 0x08010000U;  // two zeros, quantum 1, pointer size 8
}

// The section where there is one; else a page of read-only data that begins with the header.
std::optional<ByteView> find_table(const ElfImage& image) {
  for (const elf::Shdr& section : image.sections()) {
    const std::string name = image.section_name(section);
    if (name != ".gopclntab" && name != ".data.rel.ro.gopclntab") continue;
    const auto bytes = slice(image.bytes(), section.offset, section.size);
    if (bytes && is_header(*bytes, 0)) return bytes;
  }
  if (!image.sections().empty()) return std::nullopt;
  for (const Segment& segment : image.segments()) {
    if (segment.executable()) continue;
    const ByteView bytes = image.bytes().subspan(segment.offset.value, segment.file_size);
    for (uint64_t at = 0; at + 8 <= bytes.size(); at += 32)
      if (is_header(bytes, at)) return bytes.subspan(at);
  }
  return std::nullopt;
}

// Words of the header, from byte 8: functions, files, (1.18 on) where the text starts, then the
// offsets of names, units, files, the pc table and the functions. Source: debug/gosym/pclntab.go.
//
// Entries are (function, offset) pairs: addresses in 1.16, offsets from the text's start later.
std::vector<Vaddr> read_starts(ByteView table, uint64_t count, uint64_t first, unsigned width,
                               Vaddr base) {
  std::vector<Vaddr> starts;
  const uint64_t entries = std::min<uint64_t>(count + 1, table.size() / (uint64_t{2} * width));
  starts.reserve(entries);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t at = first + i * 2 * width;
    const auto value =
        width == 8 ? load<uint64_t>(table, at) : std::optional<uint64_t>(load<uint32_t>(table, at));
    if (!range_fits(at, width, table.size()) || !value) break;
    const Vaddr start = base + *value;
    if (!starts.empty() && start < starts.back()) break;  // not a table after all
    starts.push_back(start);
  }
  return starts;
}

// Where offsets count from: the header says; later linkers leave it 0 and mean the text section.
Vaddr text_start(const ElfImage& image, uint64_t named) {
  if (named != 0) return {named};
  for (const elf::Shdr& section : image.sections())
    if (image.section_name(section) == ".text") return {section.addr};
  return {0};
}

}  // namespace

std::vector<Vaddr> read_go_function_starts(const ElfImage& image) {
  const auto table = find_table(image);
  if (!table) return {};
  const bool old = *load<uint32_t>(*table, 0) == kMagic116;
  const auto count = load<uint64_t>(*table, 8);
  const auto functions = load<uint64_t>(*table, old ? 56 : 64);
  const auto named = load<uint64_t>(*table, 24);
  if (!count || !functions || !named || *functions >= table->size()) return {};
  if (old) return read_starts(*table, *count, *functions, 8, {0});
  return read_starts(*table, *count, *functions, 4, text_start(image, *named));
}

}  // namespace sysrewrite
