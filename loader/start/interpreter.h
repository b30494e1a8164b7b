// The interpreter that a dynamic program named before sysrewrite put sysload in its place.
#ifndef SYSREWRITE_LOADER_START_INTERPRETER_H_
#define SYSREWRITE_LOADER_START_INTERPRETER_H_

#include "loader/start/program_file.h"

namespace sysrewrite {

inline constexpr uint64_t kMaxPath = 4096;  // PATH_MAX, NUL included

struct InterpreterPath {
  bool found = false;    // false: the program is static
  bool damaged = false;  // there is one, but what it names is no path
  char path[kMaxPath];
};

// Reads the path out of the input's own headers, whichever way sysrewrite changed them.
void find_interpreter(const ProgramFile& program, InterpreterPath* result);

// Whether a file without a trailer still names a sysload as its interpreter: it lost the trailer.
bool names_sysload(const ProgramFile& program);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_INTERPRETER_H_
