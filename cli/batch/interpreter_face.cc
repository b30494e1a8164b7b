#include "cli/batch/interpreter_face.h"

#include <string_view>
#include <vector>

#include "rewriter/elf_image.h"
#include "rewriter/symbols.h"
#include "trampoline/elf_types.h"

namespace sysrewrite {

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kAlignment = 8;
constexpr std::string_view kBreakpoint = "_dl_debug_state";

// What becomes of a section of ld.so's.
enum class Part {
  kBytes,  // read, and not in memory
  kUnwind,
  kSpace,  // in memory, without its bytes
};

Part part_of(const ElfImage& image, const elf::Shdr& section) {
  if ((section.flags & elf::kShfAlloc) == 0 && section.type != elf::kShtNobits) return Part::kBytes;
  switch (section.type) {
    case elf::kShtDynsym:
    case elf::kShtStrtab:
    case elf::kShtHash:
    case elf::kShtGnuHash:
    case elf::kShtGnuVersym:
    case elf::kShtGnuVerdef:
    case elf::kShtDynamic:
    case elf::kShtNote:
      return Part::kBytes;
    case elf::kShtProgbits:
      return image.section_name(section) == ".eh_frame" ? Part::kUnwind : Part::kSpace;
    default:
      return Part::kSpace;
  }
}

bool has_symbols(const elf::Shdr& section) {
  return section.type == elf::kShtDynsym || section.type == elf::kShtSymtab;
}

bool has_dynamic_symbols(const ElfImage& image) {
  for (const elf::Shdr& section : image.sections())
    if (section.type == elf::kShtDynsym) return section.link < image.sections().size();
  return false;
}

// Where the loader has its function for breakpoints.
std::optional<Vaddr> find_breakpoint(ByteView loader) {
  const auto image = ElfImage::parse(loader);
  std::optional<Vaddr> found;
  if (!image) return found;
  for_each_symbol(*image, [&found](const Symbol& symbol) {
    if (symbol.is_named(kBreakpoint)) found = symbol.address;
  });
  return found;
}

// One that nobody finds there is an absolute value, at which debuggers set no breakpoint.
void lead_breakpoint(MutableByteView symbols, ByteView names, std::optional<Vaddr> to) {
  for (uint64_t at = 0; range_fits(at, sizeof(elf::Sym), symbols.size()); at += sizeof(elf::Sym)) {
    auto symbol = *load<elf::Sym>(symbols, at);
    const Symbol named{{}, 0, 0, names, symbol.name};
    if (symbol.shndx == elf::kShnUndef || !named.is_named(kBreakpoint)) continue;
    if (to) symbol.value = to->value;
    if (!to) symbol.shndx = elf::kShnAbs;
    store(symbols, at, symbol);
  }
}

class Face {
 public:
  Face(const ElfImage& interpreter, ByteView loader)
      : interpreter_(interpreter),
        begin_(align_up(loader.size(), kAlignment)),
        room_(interpreter.bytes().size()),
        breakpoint_(find_breakpoint(loader)) {}

  // False where the section leaves the file, or shares its bytes with too many.
  bool add(elf::Shdr section) {
    if (section.type == elf::kShtNull) return headers_.push_back(section), true;
    const Part part = part_of(interpreter_, section);
    if (part == Part::kBytes) section.flags &= ~elf::kShfAlloc;
    if (part == Part::kSpace) section.type = elf::kShtNobits;
    if (part != Part::kSpace && !append_bytes(&section)) return false;
    headers_.push_back(section);
    return true;
  }

  OutputBytes finish(elf::Ehdr header) {
    header.shoff = append(as_byte_view(headers_.data(), headers_.size() * sizeof(elf::Shdr)));
    header.shentsize = sizeof(elf::Shdr);
    header.shnum = interpreter_.header().shnum;
    header.shstrndx = interpreter_.header().shstrndx;
    const ByteView bytes = as_byte_view(&header, sizeof(header));
    return {{{{0}, {bytes.begin(), bytes.end()}}}, {begin_}, std::move(tail_)};
  }

 private:
  bool append_bytes(elf::Shdr* section) {
    const auto bytes = slice(interpreter_.bytes(), section->offset, section->size);
    // No linker makes sections that share bytes, but there may be 65,535 of the whole file.
    if (!bytes || bytes->size() > room_) return false;
    room_ -= bytes->size();
    section->offset = append(*bytes);
    if (!has_symbols(*section)) return true;
    if (section->link >= interpreter_.sections().size()) return false;
    const elf::Shdr& strings = interpreter_.sections()[section->link];
    const auto names = slice(interpreter_.bytes(), strings.offset, strings.size);
    if (!names) return false;
    const MutableByteView symbols = MutableByteView(tail_).subspan(section->offset - begin_);
    lead_breakpoint(symbols, *names, breakpoint_);
    return true;
  }

  uint64_t append(ByteView bytes) {
    tail_.resize(align_up(tail_.size(), kAlignment));
    const uint64_t offset = begin_ + tail_.size();
    tail_.insert(tail_.end(), bytes.begin(), bytes.end());
    return offset;
  }

  const ElfImage& interpreter_;
  uint64_t begin_;  // of what is added, in the file
  uint64_t room_;   // bytes that the sections may still have
  std::optional<Vaddr> breakpoint_;
  Bytes tail_;
  std::vector<elf::Shdr> headers_;
};

}  // namespace

std::optional<OutputBytes> with_face_of(ByteView interpreter, ByteView loader) {
  const auto image = ElfImage::parse(interpreter);
  const auto header = load<elf::Ehdr>(loader, 0);
  // More sections than e_shnum can say are counted elsewhere.
  if (!image || !header || image->sections().size() != image->header().shnum ||
      !has_dynamic_symbols(*image))
    return std::nullopt;
  Face face(*image, loader);
  for (const elf::Shdr& section : image->sections())
    if (!face.add(section)) return std::nullopt;
  return face.finish(*header);
}

}  // namespace sysrewrite
