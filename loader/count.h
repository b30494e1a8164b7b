// The count hook: a counter for each system call, and a table at exit.
#ifndef SYSREWRITE_LOADER_COUNT_H_
#define SYSREWRITE_LOADER_COUNT_H_

#include "loader/program_file.h"

namespace sysrewrite {

// The exit hook prints in this process alone, and only where somebody can read it.
void prepare_exit_hook();

// Maps the counters. `name` is the program's path, of which the table shows the last part.
void prepare_count(const char* name);

// Says, where it is so, that some of a file's system calls will not be counted: one line. Nothing
// is half hooked in silence.
void report_unseen(const ProgramFile& file);

// The same for a dynamic program whose interpreter nobody has rewritten.
void report_unseen_libraries(const char* interpreter);

// The same for a library.
void report_unseen_library(const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_COUNT_H_
