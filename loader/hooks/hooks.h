// The hooks that come with sysload. Each fills in a struct sysload_hook, as sysload_hook_init() of
// a hook in a file of its own does.
#ifndef LOADER_HOOKS_HOOKS_H_
#define LOADER_HOOKS_HOOKS_H_

#include "loader/include/sysload/hook.h"

extern "C" {
int sysload_hook_init_files(struct sysload_hook* hook);
}

#endif  // LOADER_HOOKS_HOOKS_H_
