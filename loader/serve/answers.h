// What the process behind `sysrewrite run` has answered before (trampoline/answer_table.h), read
// without asking it.
#ifndef SYSREWRITE_LOADER_SERVE_ANSWERS_H_
#define SYSREWRITE_LOADER_SERVE_ANSWERS_H_

#include "loader/syscalls.h"
#include "trampoline/answer_table.h"

namespace sysrewrite {

// Makes the server's answers readable from here on, where they can be; for as long as this program
// runs. Under the serving lock, or before there are threads, like all that follows.
void open_answers();

// 0 where there is none. Another process may have this number by now.
uint32_t pid_of_server();

// What was said of this file; nullptr where nothing was, or nobody can tell.
const KnownAnswer* known_answer(sys::Fd file);

// Opens what the server has open: a copy, sysload's own file, the ring, or what hooks share.
// Negative where that cannot be, or where something else is found there.
sys::Fd open_known(const OpenFile& file);
sys::Fd known_loader();
sys::Fd known_ring();
sys::Fd known_share(uint32_t hook, uint64_t size);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_ANSWERS_H_
