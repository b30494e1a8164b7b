// The libraries that the program's own ld.so maps, and their trampolines.
#ifndef SYSREWRITE_LOADER_SERVE_OBJECTS_H_
#define SYSREWRITE_LOADER_SERVE_OBJECTS_H_

#include <cstdint>

#include "loader/syscalls.h"
#include "trampoline/address.h"

namespace sysrewrite {

// What ld.so asks for with its first mmap of a library: `size` bytes anywhere, from the file's
// start.
struct LibraryRequest {
  uint64_t hint, size;
  uint32_t protection;
  uint64_t flags;
  sys::Fd fd;
  bool by_interpreter;  // no other code could have asked: the rest of ld.so's mappings will follow
};

// Maps it as asked, where the file is a rewritten one with room for its trampoline, and maps the
// trampoline. True, and the answer for ld.so, where that was done; false where the file is none.
// Ends the process where a rewritten library cannot be served: its jumps would lead nowhere.
bool map_library(const LibraryRequest& request, int64_t* answer);

// The other way that glibc goes, for segments aligned to more than a page: it reserves the span and
// the alignment anonymously, maps the file's start into that with MAP_FIXED, gives back what is
// left over behind it, and goes on with the other segments. await_room() is for the second step,
// which is left to the kernel; room_was_made() for the third: true where it was this one, and done
// here, with the trampoline put where the waste was. Before that, reserve_more() makes the
// reservation larger, where it is ld.so that asks: alignment alone may leave less behind than a
// trampoline needs.
int64_t reserve_more(uint64_t size);
void await_room(RuntimeAddr address, uint64_t size, sys::Fd fd);
bool room_was_made(RuntimeAddr start, uint64_t size, int64_t* answer);

struct CodeRequest {
  RuntimeAddr address;
  uint64_t size;
  uint32_t protection;
  uint64_t flags;
  sys::Fd fd;
  uint64_t offset;
  bool by_interpreter;  // as above
};

// Maps code with MAP_FIXED from the rewritten copy of a file, where the file itself is none and the
// place belongs to a library mapped by map_library(), or to a program with fixed addresses that
// ld.so was asked to start. True, and the answer, where that was done.
bool map_code(const CodeRequest& request, int64_t* answer);

// Whether code that is about to be mapped there is a library's whose calls are all seen, or which
// has none.
bool is_rewritten_code(RuntimeAddr address);

// Whether there is code of a library, with a trampoline, in memory that is to be given back.
bool holds_library_code(RuntimeAddr start, uint64_t size);

// Takes along the trampolines of the libraries of which no code is left, now that this memory was
// given back. As long as there is any, it may run and jump there.
void forget_libraries(RuntimeAddr start, uint64_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_OBJECTS_H_
