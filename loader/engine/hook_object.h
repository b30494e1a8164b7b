// Bringing a hook's shared object into this process: `--hook ./mine.so`.
#ifndef SYSREWRITE_LOADER_ENGINE_HOOK_OBJECT_H_
#define SYSREWRITE_LOADER_ENGINE_HOOK_OBJECT_H_

#include <cstdint>

#include "trampoline/address.h"

namespace sysrewrite {

// Where a hook's object lies, so that a fault in it can be given its name.
struct HookObject {
  RuntimeAddr base;  // of its first page; an address less this is an address in the object
  uint64_t size;     // bytes, to the end of its last page
};

// Maps a hook's shared object and returns the address of its sysload_hook_init. Ends the process
// with one line and the reason where it cannot be used. No code of the object runs.
RuntimeAddr load_hook_object(const char* path, HookObject* mapped);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_ENGINE_HOOK_OBJECT_H_
