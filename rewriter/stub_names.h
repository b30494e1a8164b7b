// Names for stubs, after the functions that their sites stand in.
//
//   write.syscall           the one site of write
//   clone.syscall.1, .2     sites of one function, by address
//   syscall_401234          nothing names the code around the site at 0x401234
//
// A dot, as compilers have it in `f.cold` and `f.part.0`: debuggers, demanglers and profilers take
// such names for parts of f ("f() [clone .syscall.1]"). An @ would be a symbol version to them
// (gdb would then know the stub by the function's own name), or an operator.
#ifndef SYSREWRITE_REWRITER_STUB_NAMES_H_
#define SYSREWRITE_REWRITER_STUB_NAMES_H_

#include <string>
#include <vector>

#include "rewriter/elf_image.h"

namespace sysrewrite {

// A name for each site; `sites` ascends.
std::vector<std::string> stub_names(const ElfImage& image, const std::vector<Vaddr>& sites);

}  // namespace sysrewrite

#endif  // SYSREWRITE_REWRITER_STUB_NAMES_H_
