// Calls that are served and not only passed: those that change what code is mapped.
#ifndef SYSREWRITE_LOADER_SERVE_SERVE_H_
#define SYSREWRITE_LOADER_SERVE_SERVE_H_

#include <cstdint>

#include "trampoline/address.h"

namespace sysrewrite {

// A program's call, as serve.S has put it on the program's stack. What is changed here takes
// effect.
struct CallFrame {
  uint64_t rbx, flags, mask;
  uint64_t r9, r8, r10, rdx, rsi, rdi, rax;
  uint64_t tail;
};

// Whether sysload_serve() is to be asked about calls of this number, whatever file they name.
bool may_be_served(uint64_t number);

// Makes a lock that a forked child finds open: another thread may have held it at the fork, and is
// not there to give it back. Called once, before the program starts.
void prepare_serving(RuntimeAddr callback);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_SERVE_H_
