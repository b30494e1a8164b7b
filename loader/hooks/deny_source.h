// Where a policy's text comes from.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_SOURCE_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_SOURCE_H_

#include "loader/include/sysload/hook.h"

namespace sysrewrite::deny {

struct PolicyText {
  const char* text;
  uint32_t size;
};

// The text of policy=FILE, whose name is put into `name`. The first process of a tree reads the
// file; those that follow use what it read, so that all of them have one policy, wherever they have
// gone (chdir, chroot) and whatever has become of the file. Refuses what cannot be read.
PolicyText policy_text(sysload_hook* hook, char* name, uint64_t name_size);

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_SOURCE_H_
