// Started as PT_INTERP: the kernel has mapped the program, and its file has to be found again.
#ifndef SYSREWRITE_LOADER_START_RUNNING_H_
#define SYSREWRITE_LOADER_START_RUNNING_H_

#include "loader/start/elf_image.h"
#include "loader/start/image_map.h"
#include "loader/start/program_file.h"
#include "loader/start/stack_view.h"

namespace sysrewrite {

// /proc/self/exe, or, where /proc is not there and the program has no more rights than its user,
// the path that execve was given.
ProgramFile open_running_program(const StackView& stack);

// Where the kernel put it. Ends the process with a line where the file that was found is not the
// one that runs.
MappedImage locate_running_program(const StackView& stack, const ProgramFile& program,
                                   const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_RUNNING_H_
