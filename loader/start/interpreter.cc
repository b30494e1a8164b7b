#include "loader/start/interpreter.h"

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

}  // namespace sysrewrite
