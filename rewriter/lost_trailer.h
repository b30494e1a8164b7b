// A file that was rewritten and has lost its end: strip and objcopy drop what no section holds. Its
// code still jumps to where the trampoline was.
#ifndef SYSREWRITE_REWRITER_LOST_TRAILER_H_
#define SYSREWRITE_REWRITER_LOST_TRAILER_H_

#include <optional>

#include "rewriter/elf_image.h"

namespace sysrewrite {

// The first jump out of the file that has poison behind it, as a window of tier A or C has:
//
//     E9 cd .. F1 F4     cd: to no segment     ..: up to 10 bytes, what is left of the last
//     instruction
std::optional<Vaddr> find_jump_out(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_LOST_TRAILER_H_
