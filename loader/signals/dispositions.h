// What the kernel is given for each signal of a program that has hooks, and what such a program is
// told of it.
#ifndef SYSREWRITE_LOADER_SIGNALS_DISPOSITIONS_H_
#define SYSREWRITE_LOADER_SIGNALS_DISPOSITIONS_H_

#include <cstdint>

#include "loader/thread_block.h"

namespace sysrewrite {

// Whether sysload handles it where the program does not: poison and the faults of hooks show by it.
bool is_taken_over(int signal);

// Handles those. Once, after the last table of sites, and before any hook's code runs.
void watch_faults();

// In a child of clone3 with CLONE_CLEAR_SIGHAND, which has none of its parent's handlers, and so
// none of sysload's.
void clear_handlers(const ThreadBlock& block);

// In a handler: the kernel may have reset the disposition when it delivered the signal.
void set_again(const ThreadBlock& block, int signal);

// rt_sigaction: the program's disposition is kept in the table, and the kernel is given
// sysload_signal_entry. Arguments and answer are the system call's.
int64_t serve_sigaction(ThreadBlock* block, uint64_t number, uint64_t action, uint64_t old_action,
                        uint64_t size);

// Around execve, which keeps what is ignored: an open signal (program_mask.h) that the program
// ignores is handled by sysload.
void ignore_for_exec(const ThreadBlock& block);
void watch_after_exec(const ThreadBlock& block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_DISPOSITIONS_H_
