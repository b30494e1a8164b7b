// Signals of a program that has hooks: its handlers run where and when they would have run without.
#ifndef SYSREWRITE_LOADER_SIGNALS_SIGNALS_H_
#define SYSREWRITE_LOADER_SIGNALS_SIGNALS_H_

#include <cstdint>

#include "loader/thread_block.h"

namespace sysrewrite {

// Whether a fault of this thread, now, in sysload_copy (program_copy.S) ends the copy and not the
// process: it does not where the program has blocked or ignored SIGSEGV or SIGBUS. One system call.
bool may_fault();

void block_signals(uint64_t* old_mask);
// Blocks all of them until the runtime is left, and keeps the mask in the block.
void keep_signals_away(ThreadBlock* block);
// Where the runtime is about to be left, with all signals blocked: a thread that stepped itself
// when it came does so again behind that.
void go_on_stepping(ThreadBlock* block);
void set_signals(const uint64_t& mask);

// While a hook of somebody else's is told something: the kernel ends a process that faults with the
// signal blocked, as all are while a thread begins or ends, and nobody would know why. Open are the
// signals of faults, but those that wait. One that is sent meanwhile is put off.
class OpenFaults {
 public:
  OpenFaults(ThreadBlock* block, bool opens);
  OpenFaults(const OpenFaults&) = delete;
  OpenFaults& operator=(const OpenFaults&) = delete;
  ~OpenFaults();

 private:
  ThreadBlock* block_;
  uint64_t before_ = 0;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_SIGNALS_H_
