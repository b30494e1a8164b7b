/* The hooks that come with sysload. Each fills in a struct sysload_hook, as sysload_hook_init() of
 * a hook in a file of its own does. */
#ifndef SYSREWRITE_LOADER_HOOKS_HOOKS_H_
#define SYSREWRITE_LOADER_HOOKS_HOOKS_H_

#include "loader/include/sysload/hook.h"
#include "trampoline/built_in_hooks.h"

extern "C" {
#define SYSLOAD_BUILT_IN(hook) int sysload_hook_init_##hook(struct sysload_hook*);
SYSLOAD_BUILT_IN_HOOKS
#undef SYSLOAD_BUILT_IN
}

#endif /* SYSREWRITE_LOADER_HOOKS_HOOKS_H_ */
