// The flags of a call that opens a file, however it is given them.
#ifndef SYSREWRITE_LOADER_HOOKS_OPEN_FLAGS_H_
#define SYSREWRITE_LOADER_HOOKS_OPEN_FLAGS_H_

#include <cstdint>

#include "loader/include/sysload/hook.h"

namespace sysrewrite {

struct OpenFlags {
  uint64_t flags = 0;
  uint64_t resolve = 0;   // RESOLVE_ flags, of openat2
  bool are_known = true;  // openat2's may not be readable

  // The descriptor's directory, or the working directory, is "/" to the call.
  bool have_own_root() const;
};

// Of open, openat, openat2 and creat; of other calls, no flags.
OpenFlags open_flags(const sysload_api& api, const sysload_call& call);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_OPEN_FLAGS_H_
