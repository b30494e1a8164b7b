// The hooks that come with sysload, by name: what --hook takes, beside the path of an object.
#ifndef SYSREWRITE_TRAMPOLINE_BUILT_IN_HOOKS_H_
#define SYSREWRITE_TRAMPOLINE_BUILT_IN_HOOKS_H_

// SYSLOAD_BUILT_IN(NAME) for each. A macro, since sysload has no tables of pointers.
#define SYSLOAD_BUILT_IN_HOOKS \
  SYSLOAD_BUILT_IN(count)      \
  SYSLOAD_BUILT_IN(deny)       \
  SYSLOAD_BUILT_IN(files)      \
  SYSLOAD_BUILT_IN(pass)       \
  SYSLOAD_BUILT_IN(sysroot)    \
  SYSLOAD_BUILT_IN(trace)

#endif  // SYSREWRITE_TRAMPOLINE_BUILT_IN_HOOKS_H_
