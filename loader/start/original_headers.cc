#include "loader/start/original_headers.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/start/interpreter.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "interpreter";

// Writes to a mapping that may not be written. A page that is executable must never lose that,
// since PR_SET_MDWE would not let it come back: there the kernel writes through /proc/self/mem.
bool write_through_kernel(RuntimeAddr address, ByteView bytes) {
  const char path[] = "/proc/self/mem";
  const sys::Fd fd = sys::call(__NR_openat, static_cast<uint64_t>(AT_FDCWD),
                               Memory::address_of(path).value, O_RDWR | O_CLOEXEC);
  if (sys::failed(fd)) return false;
  const int64_t written =
      sys::call(__NR_pwrite64, static_cast<uint64_t>(fd), Memory::address_of(bytes.data()).value,
                bytes.size(), address.value);
  sys::close(fd);
  return written == static_cast<int64_t>(bytes.size());
}

// 0, or an errno value below it.
int64_t overwrite(const elf::Phdr& segment, RuntimeAddr address, ByteView bytes) {
  const bool is_code = (segment.flags & elf::kFlagExec) != 0;
  if (is_code && write_through_kernel(address, bytes)) return 0;
  const RuntimeAddr start = {align_down(address.value, kPageSize)};
  const uint64_t size = address.value + bytes.size() - start.value;
  const uint32_t protection = ((segment.flags & elf::kFlagRead) != 0 ? sys::kRead : 0U) |
                              ((segment.flags & elf::kFlagWrite) != 0 ? sys::kWrite : 0U) |
                              (is_code ? sys::kExec : 0U);
  const int64_t answer = sys::protect(start, size, protection | sys::kRead | sys::kWrite);
  if (sys::failed(answer)) return answer;
  std::copy(bytes.begin(), bytes.end(), Memory::bytes(address, bytes.size()).begin());
  return sys::protect(start, size, protection);
}

// In the segment that sysrewrite added there is room for either path.
void restore_in_own_segment(const ProgramFile& program, const ElfImage& image,
                            const MappedImage& mapped) {
  InterpreterPath original;
  find_interpreter(program, &original);
  if (!original.found || original.damaged) return;
  const elf::Phdr& own = program.rewritten().own_segment();
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    const elf::Phdr segment = image.header(i);
    if (segment.type != elf::kPtInterp) continue;
    const size_t size = strlen(original.path) + 1;
    if (segment.vaddr < own.vaddr || !range_fits(segment.vaddr - own.vaddr, size, own.filesz) ||
        size > segment.filesz)
      fail(kPhase, program.path(), ": there is no room for the path of its interpreter");
    memcpy(Memory::at<char>(mapped.at({segment.vaddr})), original.path, size);
  }
}

// Where bytes of the file are in memory: a segment brings along the rest of its first page.
bool find_mapped(const ElfImage& image, const EditRecord& edit, elf::Phdr* segment, Vaddr* vaddr) {
  for (uint32_t i = 0; i < image.header_count(); ++i) {
    *segment = image.header(i);
    if (segment->type != elf::kPtLoad || segment->memsz == 0) continue;
    const uint64_t before = segment->offset % kPageSize;
    const uint64_t first = segment->offset - before;
    if (edit.offset < first ||
        !range_fits(edit.offset - first, edit.size, before + segment->filesz))
      continue;
    *vaddr = {segment->vaddr - before + (edit.offset - first)};
    return true;
  }
  return false;
}

// What a program may look at. Debuggers find a position-independent program by comparing the table
// in memory with the one in its file: entries of that are left.
bool is_programs(EditKind kind) {
  return kind == EditKind::kInterpreterPath || kind == EditKind::kElfHeader;
}

}  // namespace

void restore_headers(const ProgramFile& program, const ElfImage& image, const MappedImage& mapped) {
  const RewrittenFile& file = program.rewritten();
  const uint32_t flags = file.meta().flags;
  if ((flags & kMetaInterpSegment) != 0) return restore_in_own_segment(program, image, mapped);
  if ((flags & kMetaSegment) != 0) return;  // its headers are as linkers make them
  for (uint32_t i = 0; i < file.edit_count(); ++i) {
    const EditRecord edit = file.edit(i);
    if (!is_programs(edit.kind)) continue;
    elf::Phdr segment{};
    Vaddr vaddr{};
    // What is outside of every segment is read by the kernel alone, from the file.
    if (!find_mapped(image, edit, &segment, &vaddr)) continue;
    const int64_t answer = overwrite(segment, mapped.at(vaddr), file.original_edit(edit));
    // Few programs look at their own ELF header, and without /proc, where no page may be made
    // executable again, there is no way to write where code is.
    if (sys::failed(answer) && edit.kind == EditKind::kInterpreterPath)
      fail_errno(answer, kPhase, "cannot restore the interpreter's path in ", program.path());
  }
}

}  // namespace sysrewrite
