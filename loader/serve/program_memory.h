// Reading and writing what a program's pointers name, which may be nothing: a bounded copy that
// fails instead of faulting.
#ifndef SYSREWRITE_LOADER_SERVE_PROGRAM_MEMORY_H_
#define SYSREWRITE_LOADER_SERVE_PROGRAM_MEMORY_H_

#include <cstdint>

#include "trampoline/bytes.h"

namespace sysrewrite {

// Up to `into.size()` bytes from the program's address; how many could be read, or a negative
// errno.
int64_t read_program(uint64_t address, MutableByteView into);

// All of `from` to the program's address; 0, or a negative errno.
int64_t write_program(uint64_t address, ByteView from);

// A NUL-ended string; its length, or -EFAULT, or -ENAMETOOLONG where it does not end in `size`.
int64_t read_program_string(uint64_t address, char* into, uint64_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_PROGRAM_MEMORY_H_
