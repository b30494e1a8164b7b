// sysload as linkers and debuggers see it, where it has taken the name of an ld.so.
//
// Both read that file too: glibc's libc.so is a script that names it, a musl system links with it
// alone, and a debugger looks there for where ld.so's functions are. They read sections, while the
// kernel and sysload itself read segments, so that a file can be both:
//
//     [ sysload, whose section headers are left behind ][ bytes of ld.so's sections ]
//     [ section headers: ld.so's ]
//
// What holds an address keeps it, as a debugger needs it for the ld.so that runs. Code and data
// are as in a file of debugging information, at their addresses without their bytes; what is read
// has its bytes, and is no part of memory, but for unwind tables, which gdb does not believe
// otherwise, and then says that they are outside of all segments.
//
//     symbol                           address
//     _dl_debug_state                  sysload's: a breakpoint that is set there before the program
//                                      runs, when nothing but sysload is mapped
//                                      (loader/start/debugger.h)
//     all others                       ld.so's
#ifndef SYSREWRITE_CLI_BATCH_INTERPRETER_FACE_H_
#define SYSREWRITE_CLI_BATCH_INTERPRETER_FACE_H_

#include <optional>

#include "rewriter/output.h"

namespace sysrewrite {

// What is to change in sysload's file. Nothing where ld.so has no sections, no dynamic symbols, or
// some that do not parse.
std::optional<OutputBytes> with_face_of(ByteView interpreter, ByteView loader);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_INTERPRETER_FACE_H_
