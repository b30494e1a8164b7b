// What the `sysroot` hook knows.
#ifndef SYSREWRITE_LOADER_HOOKS_SYSROOT_STATE_H_
#define SYSREWRITE_LOADER_HOOKS_SYSROOT_STATE_H_

#include <cstdint>

#include "loader/hooks/path_calls.h"
#include "loader/hooks/sysroot_walk.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite {

// The directory's name, for what is executed too: a relative one means something else there.
struct SysrootShared {
  uint32_t ready;
  uint32_t size;
  char name[kNameBytes];
};

struct SysrootState {
  SysrootShared* shared;
  uint64_t pid;
  bool left;  // by chroot: the directory has no name any more
};

struct SysrootThread {
  uint32_t left;  // the same, of a child that shares the memory (vfork)
  uint32_t unused[3];
};

struct SysrootView {
  const sysload_api& api;
  SysrootState& state;
  SysrootThread& thread;

  Sysroot root() const { return {state.shared->name, state.shared->size}; }
};

// What a call was given, as an absolute name that the program sees.
struct GivenName {
  char text[kPathBytes];
  uint32_t size;
  bool is_inside;  // relative to a directory of the sysroot: the host has no such name
};

// sysroot_directory.cc. Returns 0, or an error to answer with. The size is 0 where the call is to
// be left as it is: it leads nowhere but to what its descriptor is.
int64_t make_absolute(const SysrootView& view, int32_t directory, const char* text, uint32_t size,
                      GivenName& given);

// sysroot_name.cc: puts the host's name in the place of the one that slot i points to. Returns 0,
// or an error to answer with. scratch[0] is set for a link below /proc that is read.
int64_t translate(const SysrootView& view, sysload_call& call, const PathCall& row, uint32_t i);

// sysroot_script.cc: for execve and execveat, once the path is translated. `script` points to the
// name as it was given.
void use_script_interpreter(const SysrootView& view, sysload_call& call, uint64_t script);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_HOOKS_SYSROOT_STATE_H_
