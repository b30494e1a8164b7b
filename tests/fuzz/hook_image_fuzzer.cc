// Any bytes as a hook's shared object. What is accepted is laid out as it would lie in memory: no
// relocation may write outside of a writable segment, and no segment may leave the file.
#include <cstdlib>

#include "loader/engine/hook_image.h"

using namespace sysrewrite;

namespace {

void insist(bool condition) {
  if (!condition) std::abort();
}

bool is_writable(const HookImage& image, uint64_t address) {
  for (uint32_t i = 0; i < image.segment_count(); ++i) {
    const elf::Phdr& segment = image.segment(i);
    if ((segment.flags & elf::kFlagWrite) != 0 && address >= segment.vaddr &&
        address - segment.vaddr < segment.memsz)
      return true;
  }
  return false;
}

void lay_out(const HookImage& image, ByteView file) {
  uint64_t end = image.low().value;
  for (uint32_t i = 0; i < image.segment_count(); ++i) {
    const elf::Phdr& segment = image.segment(i);
    insist(slice(file, segment.offset, segment.filesz).has_value());
    insist(segment.vaddr >= end && segment.filesz <= segment.memsz);
    insist((segment.flags & (elf::kFlagWrite | elf::kFlagExec)) !=
           (elf::kFlagWrite | elf::kFlagExec));
    end = segment.vaddr + segment.memsz;
  }
  insist(end <= image.high().value);
  for (uint64_t page = image.relro_start().value; page < image.relro_end().value; page += kPageSize)
    insist(page >= image.low().value && page < image.high().value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView file = as_byte_view(data, size);
  HookImage image;
  Refusal why;
  if (!image.read(file, why)) {
    insist(why.text()[0] != 0);
    return 0;
  }
  lay_out(image, file);
  insist(image.low() <= image.init() && image.init() < image.high());
  HookRelocations relocations(image);
  HookRelocation relocation{};
  HookRelocations::Step step = HookRelocations::Step::kRelocation;
  while ((step = relocations.next(relocation, why)) == HookRelocations::Step::kRelocation) {
    insist(is_writable(image, relocation.place.value));
    insist(is_writable(image, relocation.place.value + 7));
  }
  insist(step == HookRelocations::Step::kEnd);
  return 0;
}
