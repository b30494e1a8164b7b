// Foreign threads: made by code that nobody rewrote (a C library that runs native, a site that was
// left native, code made at run time), so that sysload was not asked when they began.
//
// The kernel gives a new thread the gs base of the one that made it, and so its block, hook stack
// and all. Nothing that a thread can read at no cost tells the two apart, but the kernel knows
// which one calls. So a process in which there may be foreign threads has another callback:
//
//                            slots hold                 a call of interest
//   all code is rewritten    sysload_callback_hook      goes to the block that gs names
//   other code has come      sysload_callback_checked   asks gettid first, and compares
//   of a file of its own     sysload_callback_guarded   likewise, and blocks signals (kept_calls.h)
//
// It is chosen at the start, and put into all slots once more when such code appears later, before
// any of it can have run. Where the block is another's the thread is adopted: it gets a block of
// its own, hooks are told that it has begun, and its call is made anew. A signal's handler asks
// likewise, before it looks into the block: of a thread that has made no call yet, too.
//
// A child of such a fork finds the block of its parent in its own memory, under another number: it
// keeps it. A child that shares memory, vfork's or not, gets a block, which nobody gives back when
// it ends; nor does a foreign thread that ends natively. Blocks of threads that are gone are looked
// for every so many adoptions.
//
// With --exhaustive there are none: the call that makes them is caught.
#ifndef SYSREWRITE_LOADER_ENGINE_FOREIGN_THREADS_H_
#define SYSREWRITE_LOADER_ENGINE_FOREIGN_THREADS_H_

#include "loader/serve/serve.h"
#include "loader/signals/signal_frame.h"

namespace sysrewrite {

// From now on there may be some. Under the serving lock, or before the program starts.
void expect_foreign_threads();

// The same, for a file with calls of its own that nobody has rewritten.
void expect_native_file();

// Notes which process this is: at the start, and in the child of a fork.
void note_process();

// Gives the calling thread a block, and makes its call begin anew. On the serving stack, with all
// signals blocked.
void adopt_caller(CallFrame* call);

// In a handler: gives the thread that was struck a block, where it has none.
void adopt_struck(KernelUcontext* context);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_FOREIGN_THREADS_H_
