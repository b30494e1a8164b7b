// The largest file that the rewriter may be asked to work on.
#ifndef SYSREWRITE_BENCH_LARGEST_ELF_H_
#define SYSREWRITE_BENCH_LARGEST_ELF_H_

#include <string>

namespace sysrewrite::bench {

// The largest x86-64 executable or shared object below `directory`, told by its content; empty
// where there is none. Follows no symbolic links. Takes a second or two.
std::string find_largest_elf(const std::string& directory);

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_LARGEST_ELF_H_
