// The stop of a traced program at its first instruction.
//
// When a traced thread has executed something the kernel sends it a SIGTRAP, at which debuggers
// that have just started it look where it lies (linux, include/linux/ptrace.h, ptrace_event();
// those that ask for PTRACE_EVENT_EXEC are told before). Under `run` that would show them sysload.
// But all signals are blocked where sysload executes itself to follow a program, so the SIGTRAP is
// pending while it starts, and is let out last:
//
//   execveat(sysload)         map the program       publish auxv        the program's first
//   SIGTRAP sent, blocked     and its ld.so                             instruction: SIGTRAP
#ifndef SYSREWRITE_LOADER_START_FIRST_STOP_H_
#define SYSREWRITE_LOADER_START_FIRST_STOP_H_

#include <cstdint>
#include <optional>

#include "loader/memory.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// Signals to be kept blocked until the program begins, whose own mask that is: SIGTRAP, where
// sysload was executed to follow it.
constexpr uint64_t held_at_start(const std::optional<uint64_t>& program_mask) {
  const uint64_t trap = uint64_t{1} << (kSigTrap - 1);
  return program_mask.has_value() && (*program_mask & trap) == 0 ? trap : 0;
}

// Unblocks them. Where one is pending this does not return: the program begins then, with the
// kernel's own state of a new one, and stops before its first instruction.
void let_out(uint64_t held, RuntimeAddr entry, RuntimeAddr stack_pointer);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_FIRST_STOP_H_
