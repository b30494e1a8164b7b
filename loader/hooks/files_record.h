// What the `files` hook writes: one record for each kind of use of each path.
//
//   text   read /usr/include/stdio.h
//   json   {"kind":"read","path":"/usr/include/stdio.h"}
//   null   "read /usr/include/stdio.h", and a NUL in place of the end of line
//
// In text a backslash is \\, a newline \n, a tab \t, other control bytes \x and two digits; bytes
// from 0x80 on stand as they are. In JSON, what is no UTF-8 stands as Python's "surrogateescape"
// has it: byte 0xff as \udcff. With null nothing is escaped: no path holds a NUL.
#ifndef SYSREWRITE_LOADER_HOOKS_FILES_RECORD_H_
#define SYSREWRITE_LOADER_HOOKS_FILES_RECORD_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite {

enum class FileKind : uint8_t {
  kNone,  // no record
  kRead,
  kWrite,
  kReadWrite,
  kCreate,
  kTest,
  kMissing,
  kFailed,
  kList,
  kDelete,
  kRenameFrom,
  kRenameTo,
  kLink,
  kChange,
  kExecute,
  kEnter,
  kMount,
  kWatch,
  kConnect,
  kIncomplete,  // the "path" is the reason
};

enum class FileFormat : uint8_t { kText, kJson, kNull };

// "read-write"; a string literal.
const char* kind_name(FileKind kind);

// Writes one record in one piece. `error` is 0, or the error of a kFailed, which JSON tells.
void emit_record(sysload_hook* hook, FileFormat format, FileKind kind, const char* path,
                 uint32_t size, int64_t error);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_FILES_RECORD_H_
