// The hooks that come with sysload. Each is written against sysload/hook.h alone.
#ifndef SYSREWRITE_LOADER_HOOKS_HOOKS_H_
#define SYSREWRITE_LOADER_HOOKS_HOOKS_H_

#include "loader/include/sysload/hook.h"

extern "C" {
[[gnu::visibility("hidden")]] int sysload_hook_init_deny(struct sysload_hook* hook);
}

#endif  // SYSREWRITE_LOADER_HOOKS_HOOKS_H_
