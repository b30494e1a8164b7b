#include "rewriter/stub_symbols.h"

#include "rewriter/stub_frames.h"
#include "rewriter/stub_names.h"

namespace sysrewrite {

namespace {

// Tools read one .debug_frame, so where the input has one the stubs' FDEs are added to a copy of
// it; nowhere, where that cannot be copied (it is compressed).
size_t add_frames(const ElfImage& image, const Layout& layout, const Options& options,
                  SectionTable& table) {
  const std::vector<WrittenFrame> frames = stub_frames(image, layout, options);
  if (frames.empty()) return 0;
  AddedSection added;
  added.name = ".debug_frame";
  added.alignment = 8;
  added.instead_of = table.find(added.name);
  if (added.instead_of) {
    const elf::Shdr& section = image.sections()[*added.instead_of];
    const auto bytes = slice(image.bytes(), section.offset, section.size);
    const bool copyable = section.type == elf::kShtProgbits && bytes &&
                          (section.flags & (elf::kShfAlloc | elf::kShfCompressed)) == 0;
    if (!copyable) return 0;
    added.bytes.assign(bytes->begin(), bytes->end());
  }
  const auto written = write_frames(frames, FrameStyle::kDebugFrame, added.bytes.size(), {0});
  added.bytes.insert(added.bytes.end(), written->bytes.begin(), written->bytes.end());
  table.add(std::move(added));
  return frames.size();
}

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  const ByteView bytes = as_byte_view(&value, sizeof(value));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

Result<std::optional<StubSymbols>> plan_stub_symbols(const ElfImage& image, const Layout& layout,
                                                     const Options& options) {
  if (!options.symbols || layout.size == 0) return std::optional<StubSymbols>();
  auto table = SectionTable::read(image);
  if (!table) return table.error();
  StubSymbols out{std::move(*table), 0, 0};
  AddedSection stubs;
  stubs.name = ".sysrewrite";
  stubs.flags = elf::kShfAlloc | elf::kShfExecInstr;
  stubs.offset = FileOffset{0};
  const uint64_t first = options.format == Format::kLitebox ? 8 : kPageSize;
  stubs.address = layout.trampoline + first;
  stubs.size = layout.size - first;
  out.stubs = out.table.add(std::move(stubs));

  std::vector<Vaddr> sites;
  for (const StubPlace& place : layout.stubs)
    sites.push_back(place.planned->site->instruction.address);
  const std::vector<std::string> names = stub_names(image, sites);
  for (size_t i = 0; i < sites.size(); ++i) {
    const StubPlace& place = layout.stubs[i];
    out.table.add(
        AddedSymbol{names[i], layout.trampoline + place.offset.value, place.size, out.stubs});
  }
  out.framed = add_frames(image, layout, options, out.table);
  if (auto error = out.table.check()) return *error;
  return std::optional(std::move(out));
}

std::vector<HeaderEdit> symbol_edits(const SectionTableBytes& table) {
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
