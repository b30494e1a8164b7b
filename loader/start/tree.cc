#include "loader/start/tree.h"

#include <asm/unistd.h>
#include <linux/auxvec.h>

#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/start/interpreter.h"
#include "loader/start/own_image.h"
#include "loader/text.h"

namespace sysrewrite {

namespace {

constexpr char kSuffix[] = ".rewritten";
constexpr uint32_t kMostLinks = 40;  // which the kernel follows, too

// Puts where the link `name` leads in its place, and returns the new size; 0 where it is no link.
size_t follow_link(char (&name)[kMaxPath + sizeof(kSuffix)], size_t size) {
  size_t folder = size;
  while (folder != 0 && name[folder - 1] != '/') --folder;
  const size_t room = kMaxPath - folder;
  // The kernel has taken the name when it writes over its end.
  const int64_t got = sys::call(__NR_readlink, Memory::address_of(&name[0]).value,
                                Memory::address_of(&name[folder]).value, room);
  if (sys::failed(got) || got == 0 || static_cast<size_t>(got) >= room) return 0;
  if (name[folder] != '/') return folder + static_cast<size_t>(got);
  memmove(&name[0], &name[folder], static_cast<size_t>(got));
  return static_cast<size_t>(got);
}

// What stands beside `path`, or else beside one of the next `links` names that it leads to.
[[gnu::noinline]] bool try_beside(const char* path, uint32_t links, ProgramFile* file) {
  char name[kMaxPath + sizeof(kSuffix)];
  size_t size = strlen(path);
  if (size >= kMaxPath) return false;
  memcpy(name, path, size);  // NOLINT(bugprone-not-null-terminated-result): the suffix ends it
  for (; size != 0; --links) {
    memcpy(name + size, kSuffix, sizeof(kSuffix));
    int64_t answer = 0;
    if (ProgramFile::try_open(name, file, &answer)) {
      file->rename(path);
      return true;
    }
    if (links == 0) return false;
    name[size] = 0;
    size = follow_link(name, size);
  }
  return false;
}

}  // namespace

ProgramFile open_interpreter(const char* phase, const char* path) {
  ProgramFile file;
  if (try_beside(path, 0, &file)) return file;
  file = ProgramFile::open(phase, path);
  if (!is_own_image(file.bytes())) return file;
  file.close();
  if (!try_beside(path, kMostLinks, &file))
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
  return !begins_with(path, "/dev/fd/") && try_beside(path, kMostLinks, file);
}

}  // namespace sysrewrite
