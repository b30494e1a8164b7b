#include "loader/interpreter.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <algorithm>
#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"

namespace sysrewrite {

namespace {

constexpr char kPhase[] = "interpreter";

template <typename T>
T original(const ProgramFile& program, FileOffset offset) {
  T value{};
  const MutableByteView bytes = Memory::bytes(Memory::address_of(&value), sizeof(value));
  if (!program.read_original(offset, bytes))
    fail(kPhase, program.path(), ": the input's program headers leave the file");
  return value;
}

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

void overwrite(const ProgramFile& program, const elf::Phdr& segment, RuntimeAddr address,
               ByteView bytes) {
  const bool is_code = (segment.flags & elf::kFlagExec) != 0;
  if (is_code && write_through_kernel(address, bytes)) return;
  const RuntimeAddr start = {align_down(address.value, kPageSize)};
  const uint64_t size = address.value + bytes.size() - start.value;
  const uint32_t protection = ((segment.flags & elf::kFlagRead) != 0 ? sys::kRead : 0U) |
                              ((segment.flags & elf::kFlagWrite) != 0 ? sys::kWrite : 0U) |
                              (is_code ? sys::kExec : 0U);
  int64_t answer = sys::protect(start, size, protection | sys::kRead | sys::kWrite);
  if (!sys::failed(answer)) {
    std::copy(bytes.begin(), bytes.end(), Memory::bytes(address, bytes.size()).begin());
    answer = sys::protect(start, size, protection);
  }
  if (sys::failed(answer))
    fail_errno(answer, kPhase, "cannot restore the interpreter's path in ", program.path());
}

}  // namespace

void find_interpreter(const ProgramFile& program, InterpreterPath* result) {
  const auto header = original<elf::Ehdr>(program, {0});
  for (uint32_t i = 0; i < header.phnum; ++i) {
    const auto segment =
        original<elf::Phdr>(program, {header.phoff + uint64_t{i} * sizeof(elf::Phdr)});
    if (segment.type != elf::kPtInterp) continue;
    const uint64_t size = segment.filesz;
    result->damaged =
        size < 2 || size > kMaxPath ||
        !program.read_original({segment.offset},
                               Memory::bytes(Memory::address_of(&result->path[0]), size)) ||
        result->path[size - 1] != 0;
    result->found = true;
    return;
  }
}

bool names_sysload(const ProgramFile& program) {
  InterpreterPath interpreter;
  find_interpreter(program, &interpreter);
  if (!interpreter.found) return false;
  // GNU strip leaves an empty PT_INTERP where the path stood behind the last section.
  if (interpreter.damaged) return true;
  const char name[] = "/sysload";
  const size_t size = strlen(interpreter.path);
  return size >= strlen(name) &&
         memcmp(interpreter.path + size - strlen(name), name, strlen(name)) == 0;
}

namespace {

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

}  // namespace

void restore_interpreter_path(const ProgramFile& program, const ElfImage& image,
                              const MappedImage& mapped) {
  const RewrittenFile& file = program.rewritten();
  if ((file.meta().flags & kMetaInterpSegment) != 0)
    return restore_in_own_segment(program, image, mapped);
  for (uint32_t i = 0; i < file.edit_count(); ++i) {
    const EditRecord edit = file.edit(i);
    if (edit.kind != EditKind::kInterpreterPath) continue;
    elf::Phdr segment{};
    Vaddr vaddr{};
    // A string outside of every segment is read by the kernel alone, from the file.
    if (!image.vaddr_of({edit.offset}, edit.size, &segment, &vaddr)) continue;
    overwrite(program, segment, mapped.at(vaddr), file.original_edit(edit));
  }
}

}  // namespace sysrewrite
