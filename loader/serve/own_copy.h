// The contents of a program's file that has no name: one that memfd_create has made, or that was
// deleted before it was executed. Its link in /proc is the kernel's and root's alone
// (mapping_link.h), so the file is kept mapped as a whole, as long as the program runs, and who
// asks for it is given a memory file with the same contents, rights and seals.
#ifndef SYSREWRITE_LOADER_SERVE_OWN_COPY_H_
#define SYSREWRITE_LOADER_SERVE_OWN_COPY_H_

#include "loader/syscalls.h"

namespace sysrewrite {

// Keeps them, where this file has no name.
void keep_own_contents(sys::Fd file);

// Negative where nothing was kept, or there is no room. Closed by exec.
sys::Fd copy_own_file();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_OWN_COPY_H_
