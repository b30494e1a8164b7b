// Whether a program may have its job with others: a terminal is then not for it alone.
#ifndef SYSREWRITE_TRAMPOLINE_PIPELINE_H_
#define SYSREWRITE_TRAMPOLINE_PIPELINE_H_

#include <cstdint>

namespace sysrewrite {

// By the mode of its standard input or output, as stat() has it: a shell joins the programs of a
// pipeline by pipes, or by sockets. Source: linux, include/uapi/linux/stat.h.
constexpr bool joins_programs(uint32_t mode) {
  constexpr uint32_t kTypeMask = 0170000, kPipe = 0010000, kSocket = 0140000;
  return (mode & kTypeMask) == kPipe || (mode & kTypeMask) == kSocket;
}

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_PIPELINE_H_
