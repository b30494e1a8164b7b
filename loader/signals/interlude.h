// What lies on a program's stack while sysload is between it and the kernel: at the start of a
// handler, in rt_sigreturn, and in rt_sigaction (handlers.S).
#ifndef SYSREWRITE_LOADER_SIGNALS_INTERLUDE_H_
#define SYSREWRITE_LOADER_SIGNALS_INTERLUDE_H_

#include <cstddef>
#include <cstdint>

#include "loader/abi.h"
#include "loader/signals/handler_table.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// What the frame at `target` is to say, and the interlude that then is left, or 0; target 0:
// nothing.
struct Log {
  uint64_t target, rip, rsp, rcx, r11, rax, flags, interlude;
};

// What lies on a stack while it is worked on.
struct Interlude {
  uint64_t mark, what, rdi, rsi, rdx;
  Log log;
};

struct WrapperInterlude {
  Interlude common;
  uint64_t unused, flags;
};

struct ActionInterlude {
  Interlude common;
  uint64_t r10, r8, r9, result, is_made;
  KernelSigaction given;
  uint64_t rbx, rbp, r12_to_r15[4], flags;
};

static_assert(offsetof(Interlude, mark) == SYSLOAD_INTERLUDE_MARK);
static_assert(offsetof(Interlude, what) == SYSLOAD_INTERLUDE_WHAT);
static_assert(offsetof(Interlude, rdi) == SYSLOAD_INTERLUDE_RDI);
static_assert(offsetof(Interlude, rsi) == SYSLOAD_INTERLUDE_RSI);
static_assert(offsetof(Interlude, rdx) == SYSLOAD_INTERLUDE_RDX);
static_assert(offsetof(Interlude, log) == SYSLOAD_INTERLUDE_LOG);
static_assert(sizeof(Interlude) == SYSLOAD_INTERLUDE_SIZE);
static_assert(offsetof(WrapperInterlude, flags) == SYSLOAD_WRAPPER_FLAGS);
static_assert(sizeof(WrapperInterlude) == SYSLOAD_WRAPPER_SIZE);
static_assert(offsetof(ActionInterlude, r10) == SYSLOAD_INTERLUDE_R10);
static_assert(offsetof(ActionInterlude, r8) == SYSLOAD_INTERLUDE_R8);
static_assert(offsetof(ActionInterlude, r9) == SYSLOAD_INTERLUDE_R9);
static_assert(offsetof(ActionInterlude, result) == SYSLOAD_INTERLUDE_RESULT);
static_assert(offsetof(ActionInterlude, is_made) == SYSLOAD_INTERLUDE_IS_MADE);
static_assert(offsetof(ActionInterlude, given) == SYSLOAD_INTERLUDE_GIVEN);
static_assert(offsetof(ActionInterlude, rbx) == SYSLOAD_INTERLUDE_RBX);
static_assert(offsetof(ActionInterlude, rbp) == SYSLOAD_INTERLUDE_RBP);
static_assert(offsetof(ActionInterlude, r12_to_r15) == SYSLOAD_INTERLUDE_R12);
static_assert(offsetof(ActionInterlude, flags) == SYSLOAD_INTERLUDE_FLAGS);
static_assert(sizeof(ActionInterlude) == SYSLOAD_ACTION_SIZE);
// A call reaches C++ with rsp 16-aligned; the kernel starts handlers 8 off.
static_assert(SYSLOAD_INTERLUDE_SIZE % 16 == 8 && SYSLOAD_WRAPPER_SIZE % 16 == 8);

// `what` of a wrapper that is to go back, and not to a handler.
inline constexpr uint64_t kBack = kNoThunk;

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_INTERLUDE_H_
