// sysload as linkers see it, where it has taken the name of an ld.so.
//
// Linkers read that file too: glibc's libc.so is a script that names it, and a musl system links
// with it alone. They read sections, while the kernel and sysload itself read segments, so that a
// file can be both:
//
//     [ sysload, its sections' headers left behind ][ ld.so's dynamic symbols, versions and
//     DT_SONAME ][ section headers: sysload's, but .dynsym, .dynstr and .dynamic are ld.so's ]
//
// No section of ld.so's is at an address, and its symbols are in one that holds nothing: debuggers
// go on to see sysload.
#ifndef SYSREWRITE_CLI_BATCH_LINK_FACE_H_
#define SYSREWRITE_CLI_BATCH_LINK_FACE_H_

#include <optional>

#include "rewriter/output.h"

namespace sysrewrite {

// What is to change in sysload's file. Nothing where one of the two has no sections like that, or
// they do not parse.
std::optional<OutputBytes> with_symbols_for_linkers(ByteView loader, ByteView interpreter);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_LINK_FACE_H_
