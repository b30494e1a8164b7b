#include "loader/start/near_callback.h"

#include <cstring>

#include "loader/memory.h"
#include "loader/state.h"

// Every call jumps from its stub to the callback and back. A processor predicts a jump to somewhere
// near at once; over more than some 64 GB a call costs 1.5 ns more (measured on Zen 4). A program
// without an interpreter lies at its fixed address or where programs lie, and sysload 40 TB away,
// where libraries do.
//
// So the one page of sysload's file that holds this callback is mapped again, in front of the
// slot. Code is never written (PR_SET_MDWE), hence the file. It may have been
// replaced since the kernel mapped it; what was mapped is compared with what runs.

namespace sysrewrite {

namespace {

// Where the kernel has found sysload, which is where its PT_INTERP says.
sys::Fd open_own_file(const ElfImage& image) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtInterp) continue;
    const auto path = slice(image.bytes(), segment.offset, segment.filesz);
    if (!path || path->empty() || path->back() != std::byte{0}) return -1;
    return sys::open_for_reading(static_cast<const char*>(static_cast<const void*>(path->data())));
  }
  return -1;
}

bool map_copy(sys::Fd fd, RuntimeAddr place) {
  // The linker gives code the same offset in the file and in memory.
  const FileOffset offset{static_cast<uint64_t>(&sysload_callback_pass[0] - &__ehdr_start[0])};
  const int64_t at = sys::map_file_at(place, kPageSize, sys::kRead | sys::kExec, fd, offset);
  if (sys::failed(at)) return false;
  if (memcmp(Memory::at<const std::byte>(place), &sysload_callback_pass[0], kPageSize) == 0)
    return true;
  sys::unmap(place, kPageSize);
  return false;
}

}  // namespace

RuntimeAddr pass_callback_near(const ProgramFile& program, const ElfImage& image,
                               const MappedImage& mapped) {
  if (!program.is_rewritten() || !program.rewritten().has_sites()) return {0};
  const sys::Fd fd = open_own_file(image);
  if (sys::failed(fd)) return {0};
  // It reads the words of the slot's page, right behind it.
  const RuntimeAddr place = {mapped.at({program.rewritten().trailer().vaddr}).value - kPageSize};
  const bool is_mapped = map_copy(fd, place);
  sys::close(fd);
  return is_mapped ? place : RuntimeAddr{0};
}

}  // namespace sysrewrite
