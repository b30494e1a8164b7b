// Where hooks write to, and what they share with the hooks of other processes.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_OUTPUT_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_OUTPUT_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite {

struct ThreadBlock;

// As sysload_api::emit and share.
void emit_text(const sysload_hook* hook, const char* text, uint64_t size);
void* share_memory(const sysload_hook* hook, uint64_t size);

// Finds out where output goes; before the first hook is started. Under `sysrewrite run` its parent
// writes, and elsewhere the files that hooks write to are made empty by the first program of a
// tree.
void prepare_output();
void empty_outputs();

// Without `run`, or where that was killed: at the end of a process, that some of its hooks' output
// could not be written. A forked child begins anew.
void tell_of_lost_output();
void forget_lost_output();

// Lets the parent look whether hooks of this thread come back; no longer.
void watch_thread(ThreadBlock* block);
void forget_thread(ThreadBlock* block);

// Around a fork, by the parent and by whoever comes out of it: the parent of all is to know of the
// child before that can say so itself.
void expect_fork();
void finish_fork();

const char* name_of_hook(const sysload_hook* hook);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_OUTPUT_H_
