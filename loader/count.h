// The count hook: a counter for each system call, and a table at exit.
#ifndef SYSREWRITE_LOADER_COUNT_H_
#define SYSREWRITE_LOADER_COUNT_H_

#include "loader/program_file.h"

namespace sysrewrite {

// Maps the counters. `name` is the program's path, of which the table shows the last part.
void prepare_count(const char* name);

// Notes what of a file no hook sees, so that the table can say so.
void note_unseen(const ProgramFile& file);
void note_native_libraries();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_COUNT_H_
