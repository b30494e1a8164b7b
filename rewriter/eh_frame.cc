#include "rewriter/eh_frame.h"

#include <algorithm>

namespace sysrewrite {

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
  const auto table = find_frame_table(image);
  if (!table) return;
  for_each_frame(
      *table, FrameStyle::kEhFrame,
      [&visit](const FrameCommon& common, const FrameDescription& frame) {
        visit({frame.start, frame.size,
               frame.lsda ? std::optional(frame.lsda->target) : std::nullopt, common.signal_frame});
      });
}

std::optional<std::vector<Vaddr>> read_landing_pads(const ElfImage& image, Vaddr function,
                                                    Vaddr lsda, uint64_t& budget) {
  const auto bytes = image.bytes_from(lsda);
  if (!bytes) return std::nullopt;
  DwarfCursor in(*bytes, lsda);
  Vaddr pads_start = function;
  if (const auto encoding = in.read<uint8_t>(); encoding != kPointerOmitted)
    pads_start = {in.read_encoded(encoding, true)};
  if (const auto encoding = in.read<uint8_t>(); encoding != kPointerOmitted) in.read_uleb();
  const auto encoding = in.read<uint8_t>();
  const uint64_t length = in.read_uleb();
  const uint64_t size = std::min<uint64_t>(length, bytes->size());
  if (size > budget) return std::nullopt;
  budget -= size;
  const uint64_t end = in.position() + size;
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
