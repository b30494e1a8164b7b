// Where a program stands while it is in a stub: what it would see of itself had nobody rewritten
// it.
#ifndef SYSREWRITE_LOADER_SIGNALS_POSITION_H_
#define SYSREWRITE_LOADER_SIGNALS_POSITION_H_

#include <cstdint>

#include "loader/signals/site_tables.h"
#include "trampoline/address.h"

namespace sysrewrite {

// The registers of a thread that stubs and callbacks use for their own ends.
struct Position {
  uint64_t rip, rsp, rcx, r11, rax, flags;
  // rcx and r11 are not the program's any more, but for its call. As the kernel leaves them for a
  // call that it is going to make again, they are the address behind it and the flags.
  bool is_used;
};

// From an address inside the stub of `found` to the one in the program: the displaced instruction
// itself, the syscall where the call is still to be made, or the address behind it. False, and
// nothing changed, where the address is no instruction's.
bool leave_stub(const FoundSite& found, Position* position);

// The way back: from an address in the window of `found`, as leave_stub() has given it, to the one
// in the stub that stands for it. An address that is good as it is, comes back.
RuntimeAddr enter_stub(const FoundSite& found, RuntimeAddr address);

// The address from which exactly this call is made again.
RuntimeAddr restart_in_stub(const FoundSite& found);

// Whether the position is in a stub or on a springboard, of any file; it is then the program's.
bool leave_any_stub(Position* position);

// A program that steps itself has come to this address. True where it would not have come there
// unpatched, in the midst of one of its instructions: it steps on, from `*next`.
bool is_unseen_step(RuntimeAddr address, RuntimeAddr* next);

// enter_stub() of whatever window the address is in.
RuntimeAddr enter_any_stub(RuntimeAddr address);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_POSITION_H_
