#include "loader/start/running.h"

#include <linux/auxvec.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "program";

// Compares bytes of the file with what is mapped where they belong. Nothing is assumed about the
// memory: should the file be another one, its addresses mean nothing here.
bool is_mapped_from(const MappedImage& mapped, const ElfImage& image, Vaddr vaddr,
                    FileOffset offset, uint64_t size) {
  const auto expected = slice(image.bytes(), offset.value, size);
  if (!expected || !sys::is_readable(mapped.at(vaddr), size)) return false;
  return memcmp(Memory::at<const std::byte>(mapped.at(vaddr)), expected->data(), size) == 0;
}

// The ELF header, where a segment holds it, and the first window. Both are read-only in memory
// until the program runs; a header that is not mapped proves nothing either way.
bool is_the_running_file(const MappedImage& mapped, const ElfImage& image,
                         const RewrittenFile& file) {
  elf::Phdr segment{};
  Vaddr vaddr{};
  if (image.vaddr_of({0}, sizeof(elf::Ehdr), &segment, &vaddr) &&
      !is_mapped_from(mapped, image, vaddr, {0}, sizeof(elf::Ehdr)))
    return false;
  for (uint32_t i = 0; i < file.site_count(); ++i) {
    const SiteRecord site = file.site(i);
    if (site.window == 0) continue;
    const Vaddr window = file.window_vaddr(site);
    const auto offset = file.offset_of(window, site.window);
    return offset && is_mapped_from(mapped, image, window, *offset, site.window);
  }
  return true;
}

}  // namespace

ProgramFile open_running_program(const StackView& stack) {
  const uint64_t name = stack.auxiliary_or(AT_EXECFN, 0);
  const char* path = name == 0 ? nullptr : Memory::at<const char>({name});
  ProgramFile program;
  int64_t answer = 0;
  if (ProgramFile::try_open("/proc/self/exe", &program, &answer)) {
    if (path != nullptr) program.rename(path);
    return program;
  }
  // By now the name may lead to another file. Under AT_SECURE whoever gave it has fewer rights than
  // the program, and the code that is mapped from the file would have them all.
  const bool is_trusted = stack.auxiliary_or(AT_SECURE, 0) == 0;
  if (path == nullptr || !is_trusted) fail_errno(answer, kPhase, "cannot open /proc/self/exe");
  return ProgramFile::open(kPhase, path);
}

MappedImage locate_running_program(const StackView& stack, const ProgramFile& program,
                                   const ElfImage& image) {
  const uint64_t entry = stack.auxiliary_or(AT_ENTRY, 0);
  if (program.is_rewritten() && image.entry().value != program.rewritten().meta().entry_vaddr)
    fail("trailer", program.path(), ": header and metadata name different entry points");
  const MappedImage mapped(entry - image.entry().value);
  if (!is_the_running_file(mapped, image, program.rewritten()))
    fail(kPhase, program.path(), " is not the file that the kernel has started");
  return mapped;
}

}  // namespace sysrewrite
