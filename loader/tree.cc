#include "loader/tree.h"

#include <linux/auxvec.h>

#include <cstring>

#include "loader/interpreter.h"
#include "loader/memory.h"
#include "loader/own_image.h"
#include "loader/report.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

constexpr char kSuffix[] = ".rewritten";

bool try_beside(const char* path, ProgramFile* file) {
  char beside[kMaxPath + sizeof(kSuffix)];
  const size_t size = strlen(path);
  if (size == 0 || size >= kMaxPath) return false;
  memcpy(beside, path, size);  // NOLINT(bugprone-not-null-terminated-result): the suffix ends it
  memcpy(beside + size, kSuffix, sizeof(kSuffix));
  int64_t answer = 0;
  if (!ProgramFile::try_open(beside, file, &answer)) return false;
  file->rename(path);
  return true;
}

}  // namespace

ProgramFile open_interpreter(const char* phase, const char* path) {
  ProgramFile file;
  if (try_beside(path, &file)) return file;
  file = ProgramFile::open(phase, path);
  if (is_own_image(file.bytes()))
    fail(phase, path, " is sysload, and there is no ", path, kSuffix,
         " beside it: the rewritten ld.so belongs there (or the program was rewritten, and has "
         "lost its "
         "trailer: strip, objcopy)");
  return file;
}

// Executed by its descriptor it has no name, and the kernel gives it that of one. Source: linux,
// fs/exec.c, alloc_bprm().
bool open_beside_own_name(const StackView& stack, ProgramFile* file) {
  const uint64_t name = stack.auxiliary_or(AT_EXECFN, 0);
  if (name == 0) return false;
  const char* path = Memory::at<const char>({name});
  return !begins_with(path, "/dev/fd/") && try_beside(path, file);
}

}  // namespace sysrewrite
