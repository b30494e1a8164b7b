// Debuggers in a rewritten tree, where sysload has the name of ld.so.
//
// A debugger that starts a program reads the file which that names as its interpreter, looks for
// the function that ld.so calls whenever its list of libraries has changed, and sets a breakpoint
// there: at the address that the file has it at, behind where the kernel has mapped the
// interpreter. In a rewritten tree both are sysload's. So sysload has a function of that name, too:
//
//     ld.so: _dl_debug_state   ret               becomes   jmp  sysload: _dl_debug_state
//     sysload: _dl_debug_state ret                         int3
//
// Only where something else than ret stands there already when the program starts, which nobody but
// a debugger can have written. What attaches later asks ld.so itself (r_debug).
#ifndef SYSREWRITE_LOADER_START_DEBUGGER_H_
#define SYSREWRITE_LOADER_START_DEBUGGER_H_

#include "loader/start/elf_image.h"
#include "loader/start/image_map.h"

namespace sysrewrite {

// For an ld.so that is mapped, before it starts. Leaves it as it is where its function is not
// found, or is not followed by enough padding; libraries are then not noticed, as said by the
// debugger.
void lead_to_breakpoint(const ElfImage& interpreter, const MappedImage& mapped);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_DEBUGGER_H_
