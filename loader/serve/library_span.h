// The first of ld.so's mappings of a library: exactly the span of its segments, from the file's
// start. Whoever reads an ELF file as data asks for its size.
#ifndef SYSREWRITE_LOADER_SERVE_LIBRARY_SPAN_H_
#define SYSREWRITE_LOADER_SERVE_LIBRARY_SPAN_H_

#include "loader/syscalls.h"
#include "trampoline/bytes.h"

namespace sysrewrite {

// `bytes`: of the file, with its program headers.
bool spans_segments(ByteView bytes, uint64_t size);

// True where the file is a shared object for this machine, with code, and that is its span.
bool is_mapped_library(sys::Fd fd, uint64_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_LIBRARY_SPAN_H_
