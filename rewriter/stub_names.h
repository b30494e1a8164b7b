// Names for stubs, after the functions that their sites stand in.
//
//   write.syscall_1      the first site of write, by address
//   syscall_401234       nothing names the code around the site at 0x401234
//
// A dot, as compilers have it in `f.cold`: demanglers take such names for parts of f, as in
// "f() [clone .syscall_1]". Tried with gdb 13: it takes an @ for a symbol version, and knows the
// stub by the function's own name then; of `f.syscall` it makes `f[syscall]`, and drops the number
// of `f.syscall.1`, since it takes both for Ada.
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
