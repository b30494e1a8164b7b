// Serving poison: the bytes F1 F4 that stand where a syscall instruction stood.
#ifndef SYSREWRITE_LOADER_SIGNALS_TRAP_H_
#define SYSREWRITE_LOADER_SIGNALS_TRAP_H_

#include "loader/signals/signal_frame.h"
#include "trampoline/address.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite {

// Whether the siginfo may be that of a trap which poison has raised. An int3 in front of poison
// stops at the same address: its code is SI_KERNEL, which icebp's never is.
bool may_be_poisons(int signal, const KernelSiginfo& info);

// Whether nobody but a process itself can have made the siginfo: what the kernel says of a trap or
// a fault does not fit the frame. A program may queue to itself whatever it likes.
bool is_forged(const Signal& signal);

// Where a program that met poison at `rip` goes on; 0 where there is none.
RuntimeAddr stub_behind_poison(RuntimeAddr rip);
// For a signal that is not the trap's: the kernel drops that one's siginfo where a SIGTRAP that was
// sent waits already, and where the machine names poison's second byte, hlt would run next, which
// kills a thread that has blocked SIGSEGV. From the first byte it is met again. Any other rip is
// given back.
RuntimeAddr back_to_poison(RuntimeAddr rip);
// Whether it is there, or has just been led on from there.
bool is_at_trap(RuntimeAddr rip);

// A signal that is sysload's and not the program's to handle does what it would without sysload: it
// is sent once more, and strikes when the frame gives the mask back. `handler` is what the program
// has said: kSigIgnore, or anything else.
void act_by_default(const Signal& signal, uint64_t handler);

// Whether some site is nothing but poison: its program does not run without the trap. Of a file,
// and of all that are mapped.
bool has_lone_poison(const RewrittenFile& file);
bool has_lone_poison();

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_TRAP_H_
