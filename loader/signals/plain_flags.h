// The flags that compiled code may run with.
//
// The kernel clears DF and TF for a handler, but leaves AC as it was. The program's own handler has
// it as natively; what runs of sysload before that, hooks among it, keeps words where it likes.
// Source: linux, arch/x86/kernel/signal.c, handle_signal(); Intel SDM vol. 3A, 6.15, #AC.
#ifndef SYSREWRITE_LOADER_SIGNALS_PLAIN_FLAGS_H_
#define SYSREWRITE_LOADER_SIGNALS_PLAIN_FLAGS_H_

#include <cstdint>

#include "loader/abi.h"

namespace sysrewrite {

// For as long as it lives.
class PlainFlags {
 public:
  PlainFlags() : flags_(__builtin_ia32_readeflags_u64()) {
    if (is_odd()) __builtin_ia32_writeeflags_u64(flags_ & ~kNotPlain);
  }
  PlainFlags(const PlainFlags&) = delete;
  PlainFlags& operator=(const PlainFlags&) = delete;
  // A debugger that has stepped over the reading is not to find its TF again.
  ~PlainFlags() {
    if (is_odd()) __builtin_ia32_writeeflags_u64(flags_ & ~uint64_t{SYSLOAD_TRAP_FLAG});
  }

 private:
  static constexpr uint64_t kNotPlain = SYSLOAD_ODD_FLAGS | SYSLOAD_TRAP_FLAG;

  bool is_odd() const { return (flags_ & SYSLOAD_ODD_FLAGS) != 0; }

  uint64_t flags_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SIGNALS_PLAIN_FLAGS_H_
