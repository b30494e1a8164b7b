/* The hooks that come with sysload. Each fills in a struct sysload_hook, as sysload_hook_init() of
 * a hook in a file of its own does. */
#ifndef SYSREWRITE_LOADER_HOOKS_HOOKS_H_
#define SYSREWRITE_LOADER_HOOKS_HOOKS_H_

#include "loader/include/sysload/hook.h"

/* SYSLOAD_BUILT_IN(NAME) for each. */
#define SYSLOAD_BUILT_IN_HOOKS \
  SYSLOAD_BUILT_IN(count)      \
  SYSLOAD_BUILT_IN(deny)       \
  SYSLOAD_BUILT_IN(files)      \
  SYSLOAD_BUILT_IN(pass)       \
  SYSLOAD_BUILT_IN(sysroot)

extern "C" {
#define SYSLOAD_BUILT_IN(hook) int sysload_hook_init_##hook(struct sysload_hook*);
SYSLOAD_BUILT_IN_HOOKS
#undef SYSLOAD_BUILT_IN
}

#endif /* SYSREWRITE_LOADER_HOOKS_HOOKS_H_ */
