// One system call of a program that has hooks, from hook_entry.S to there.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_CALL_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_CALL_H_

#include "loader/thread_block.h"

namespace sysrewrite {

// For a signal that has struck at the call. After each, the block says how to leave.
//
// The call was not made, or is to be made again: hooks see its end with SYSLOAD_RESTARTED, and it
// is issued anew from where the program called.
void undo_call(ThreadBlock* block);
// The call is done, with the answer in block->result: hooks see its end.
void finish_call(ThreadBlock* block);

// Names a thread, and a process that was forked, and tells hooks that it has begun.
void begin_thread(ThreadBlock* block);
void begin_process(ThreadBlock* block);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_CALL_H_
