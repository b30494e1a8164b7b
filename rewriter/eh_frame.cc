#include "rewriter/eh_frame.h"

#include <algorithm>

#include "rewriter/dwarf_cursor.h"

namespace sysrewrite {

namespace {

struct Cie {
  uint8_t pointer_encoding = 0;
  uint8_t lsda_encoding = kPointerOmitted;
  bool has_augmentation_data = false;
  bool signal_frame = false;
};

std::optional<Cie> read_cie(const FrameTable& table, uint64_t offset) {
  const auto length = load<uint32_t>(table.bytes, offset);
  if (!length || *length == 0xffffffffU) return std::nullopt;
  const auto body = slice(table.bytes, offset + 4, *length);
  if (!body) return std::nullopt;
  DwarfCursor in(*body, table.address + (offset + 4));
  if (in.read<uint32_t>() != 0) return std::nullopt;
  const auto version = in.read<uint8_t>();
  char augmentation[8] = {};
  for (size_t i = 0;; ++i) {
    const auto c = in.read<uint8_t>();
    if (!in.good() || i >= sizeof(augmentation)) return std::nullopt;
    if (c == 0) break;
    augmentation[i] = static_cast<char>(c);
  }
  in.read_uleb();  // code alignment
  in.read_uleb();  // data alignment; signed, but only skipped
  if (version == 1)
    in.read<uint8_t>();
  else
    in.read_uleb();
  Cie cie;
  if (augmentation[0] == 0) return in.good() ? std::optional(cie) : std::nullopt;
  if (augmentation[0] != 'z') return std::nullopt;
  cie.has_augmentation_data = true;
  in.read_uleb();
  for (size_t i = 1; i < sizeof(augmentation) && augmentation[i] != 0; ++i) {
    switch (augmentation[i]) {
      case 'R':
        cie.pointer_encoding = in.read<uint8_t>();
        break;
      case 'L':
        cie.lsda_encoding = in.read<uint8_t>();
        break;
      case 'P': {
        const auto encoding = in.read<uint8_t>();
        in.read_encoded(encoding & 0x0f, false);
        break;
      }
      case 'S':
        cie.signal_frame = true;
        break;
      case 'B':
        break;
      default:
        return std::nullopt;
    }
  }
  return in.good() ? std::optional(cie) : std::nullopt;
}

// Consecutive FDEs share a CIE, so the last one read is kept.
class FrameWalker {
 public:
  explicit FrameWalker(const FrameTable& table) : table_(table) {}

  void walk(const std::function<void(const FrameEntry&)>& visit) {
    for (uint64_t offset = 0;;) {
      const auto length = load<uint32_t>(table_.bytes, offset);
      if (!length || *length == 0 || *length == 0xffffffffU) break;
      const auto body = slice(table_.bytes, offset + 4, *length);
      if (!body) break;
      if (const auto entry = read_entry(offset, *body)) visit(*entry);
      offset += 4 + uint64_t{*length};
    }
  }

 private:
  std::optional<FrameEntry> read_entry(uint64_t offset, ByteView body) {
    const auto delta = load<uint32_t>(body, 0);
    if (!delta || *delta == 0 || *delta > offset + 4) return std::nullopt;
    const Cie* cie = cie_at(offset + 4 - *delta);
    if (cie == nullptr) return std::nullopt;
    DwarfCursor in(body, table_.address + (offset + 4));
    in.skip(4);
    FrameEntry entry;
    entry.start = {in.read_encoded(cie->pointer_encoding, true)};
    entry.size = in.read_encoded(cie->pointer_encoding, false);
    entry.signal_frame = cie->signal_frame;
    if (cie->has_augmentation_data && cie->lsda_encoding != kPointerOmitted &&
        in.read_uleb() >= 4) {
      const Vaddr place = in.address();
      const Vaddr lsda{in.read_encoded(cie->lsda_encoding, true)};
      if (lsda != place && lsda.value != 0) entry.lsda = lsda;  // 0 on file means: none
    }
    if (!in.good() || entry.size == 0) return std::nullopt;
    return entry;
  }

  const Cie* cie_at(uint64_t offset) {
    if (!last_ || last_offset_ != offset) {
      last_ = read_cie(table_, offset);
      last_offset_ = offset;
    }
    return last_ ? &*last_ : nullptr;
  }

  FrameTable table_;
  std::optional<Cie> last_;
  uint64_t last_offset_ = 0;
};

}  // namespace

std::optional<FrameTable> find_frame_table(const ElfImage& image) {
  if (const elf::Phdr* header = image.find_header(elf::kPtGnuEhFrame)) {
    const auto bytes = image.bytes_from({header->vaddr});
    if (bytes && bytes->size() >= 8 && (*bytes)[0] == std::byte{1}) {
      DwarfCursor in(*bytes, {header->vaddr});
      in.skip(4);
      const Vaddr start{in.read_encoded(std::to_integer<uint8_t>((*bytes)[1]), true)};
      const auto table = image.bytes_from(start);
      if (in.good() && table) return FrameTable{*table, start};
    }
  }
  for (const elf::Shdr& section : image.sections()) {
    if (section.type == elf::kShtNobits || image.section_name(section) != ".eh_frame") continue;
    const auto bytes = slice(image.bytes(), section.offset, section.size);
    if (bytes) return FrameTable{*bytes, {section.addr}};
  }
  return std::nullopt;
}

void for_each_frame_entry(const ElfImage& image,
                          const std::function<void(const FrameEntry&)>& visit) {
  if (const auto table = find_frame_table(image)) FrameWalker(*table).walk(visit);
}

std::optional<std::vector<Vaddr>> read_landing_pads(const ElfImage& image, Vaddr function,
                                                    Vaddr lsda) {
  const auto bytes = image.bytes_from(lsda);
  if (!bytes) return std::nullopt;
  DwarfCursor in(*bytes, lsda);
  Vaddr pads_start = function;
  if (const auto encoding = in.read<uint8_t>(); encoding != kPointerOmitted)
    pads_start = {in.read_encoded(encoding, true)};
  if (const auto encoding = in.read<uint8_t>(); encoding != kPointerOmitted) in.read_uleb();
  const auto encoding = in.read<uint8_t>();
  const uint64_t length = in.read_uleb();
  const uint64_t end = in.position() + std::min<uint64_t>(length, bytes->size());
  std::vector<Vaddr> pads;
  while (in.good() && in.position() < end) {
    in.read_encoded(encoding, false);  // start
    in.read_encoded(encoding, false);  // length
    const uint64_t pad = in.read_encoded(encoding, false);
    in.read_uleb();  // action
    if (pad != 0) pads.push_back(pads_start + pad);
  }
  if (!in.good() || in.position() != end) return std::nullopt;
  return pads;
}

}  // namespace sysrewrite
