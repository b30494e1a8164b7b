// What a policy may call by name beside system calls, and which arguments of calls are paths.
#ifndef SYSREWRITE_LOADER_HOOKS_DENY_NAMES_H_
#define SYSREWRITE_LOADER_HOOKS_DENY_NAMES_H_

#include "loader/hooks/path_calls.h"
#include "loader/include/sysload/hook.h"

namespace sysrewrite::deny {

// A constant of the kernel's headers, O_CREAT for instance. False where the word is none.
bool constant_value(const char* word, uint64_t length, uint64_t& value);

// The number of an error's name, EPERM for instance; 0 where there is none.
uint16_t error_number(const sysload_api* api, const char* word, uint64_t length);

// Paths among the arguments of a call, as path_calls.h has them; no call has more than two.
struct PathArguments {
  uint32_t count;
  const PathSlot* at[2];
};
// Those that this one is given, and those that a call of this number can be given.
PathArguments paths_of(const sysload_call& call);
PathArguments possible_paths_of(uint32_t number);

// Calls that open files and say whether for writing: open, openat, openat2, creat.
bool opens(uint32_t number);

}  // namespace sysrewrite::deny

#endif  // SYSREWRITE_LOADER_HOOKS_DENY_NAMES_H_
