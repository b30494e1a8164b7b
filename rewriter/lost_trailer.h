// A file that was rewritten and has lost its end: strip and objcopy drop what no section holds. Its
// code still jumps to where the trampoline was.
#ifndef SYSREWRITE_REWRITER_LOST_TRAILER_H_
#define SYSREWRITE_REWRITER_LOST_TRAILER_H_

#include <optional>

#include "rewriter/elf_image.h"

namespace sysrewrite {

// The first of the jumps that lead to where the trampoline must have been: directly below the first
// segment or behind the last (placement.h), and not further than so many stubs reach. Poison stands
// behind each, as in a window of tier A or C:
//
//     E9 cd .. F1 F4     ..: up to 10 bytes, what is left of the last instruction
//
// By chance a program of 30 MB has some twenty such places, of which one in half a million leads
// there.
std::optional<Vaddr> find_jump_to_lost_stub(const ElfImage& image);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_LOST_TRAILER_H_
