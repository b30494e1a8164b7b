#include "rewriter/stub_sections.h"

#include "rewriter/stub_names.h"

namespace sysrewrite {

namespace {

// Tools read one .debug_frame, so where the input has one the stubs' FDEs are added to a copy of
// it; nowhere, where that cannot be copied (it is compressed).
bool add_frames(const ElfImage& image, const std::vector<WrittenFrame>& frames,
                SectionTable& table) {
  if (frames.empty()) return false;
  AddedSection added;
  added.name = ".debug_frame";
  added.alignment = 8;
  added.instead_of = table.find(added.name);
  if (added.instead_of) {
    const elf::Shdr& section = image.sections()[*added.instead_of];
    const auto bytes = slice(image.bytes(), section.offset, section.size);
    const bool copyable = section.type == elf::kShtProgbits && bytes &&
                          (section.flags & (elf::kShfAlloc | elf::kShfCompressed)) == 0;
    if (!copyable) return false;
    added.bytes.assign(bytes->begin(), bytes->end());
  }
  const auto written = write_frames(frames, FrameStyle::kDebugFrame, added.bytes.size(), {0});
  added.bytes.insert(added.bytes.end(), written->bytes.begin(), written->bytes.end());
  table.add(std::move(added));
  return true;
}

size_t add_stubs(const Layout& layout, bool segment, SectionTable& table) {
  AddedSection stubs;
  stubs.name = segment ? ".sysrewrite.text" : ".sysrewrite";
  stubs.flags = elf::kShfAlloc | elf::kShfExecInstr;
  stubs.offset = FileOffset{0};
  stubs.address = layout.trampoline + layout.first.value;
  stubs.size = layout.size - layout.first.value;
  return table.add(std::move(stubs));
}

void add_names(const ElfImage& image, const Layout& layout, size_t section, SectionTable& table) {
  std::vector<Vaddr> sites;
  for (const StubPlace& place : layout.stubs)
    sites.push_back(place.planned->site->instruction.address);
  const std::vector<std::string> names = stub_names(image, sites);
  for (size_t i = 0; i < sites.size(); ++i) {
    const StubPlace& place = layout.stubs[i];
    table.add(AddedSymbol{names[i], place.offset.value - layout.first.value, place.size, section});
  }
}

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  const ByteView bytes = as_byte_view(&value, sizeof(value));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

Result<std::optional<StubSections>> plan_stub_sections(const ElfImage& image, const Layout& layout,
                                                       const std::vector<WrittenFrame>& frames,
                                                       bool segment, const Options& options) {
  const bool named = options.symbols && layout.size != 0;
  if (!named && !segment) return std::optional<StubSections>();
  auto table = SectionTable::read(image, named ? SymbolTables::kGrown : SymbolTables::kKept);
  if (!table) return table.error();
  StubSections out{std::move(*table), std::nullopt, 0, named, false};
  if (layout.size != 0) out.stubs = add_stubs(layout, segment, out.table);
  if (named) add_names(image, layout, *out.stubs, out.table);
  out.framed = add_frames(image, frames, out.table);
  const auto size = out.table.measure();
  if (!size) return size.error();
  out.size = *size;
  return std::optional(std::move(out));
}

std::vector<HeaderEdit> section_edits(const SectionTableBytes& table) {
  HeaderEdit offset{{offsetof(elf::Ehdr, shoff)}, EditKind::kElfHeader, {}};
  append(offset.bytes, table.table.value);
  // e_shentsize too: it may be 0 where there was no table.
  HeaderEdit counts{{offsetof(elf::Ehdr, shentsize)}, EditKind::kElfHeader, {}};
  append(counts.bytes, static_cast<uint16_t>(sizeof(elf::Shdr)));
  append(counts.bytes, table.count);
  append(counts.bytes, table.names);
  return {offset, counts};
}

}  // namespace sysrewrite
