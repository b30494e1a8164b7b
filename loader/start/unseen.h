// Saying that some system calls will not be seen: nothing is half hooked in silence.
#ifndef SYSREWRITE_LOADER_START_UNSEEN_H_
#define SYSREWRITE_LOADER_START_UNSEEN_H_

#include "loader/start/program_file.h"

namespace sysrewrite {

// One line, where some of a file's system calls were left native, or may be such.
void report_unseen(const ProgramFile& file);

// A dynamic program whose interpreter nobody has rewritten.
void report_unseen_libraries(const char* interpreter);

// A library that nobody has rewritten.
void report_unseen_library(const char* path);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_UNSEEN_H_
