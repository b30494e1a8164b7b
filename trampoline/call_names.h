// Names of system calls, for people. Source: linux, arch/x86/entry/syscalls/syscall_64.tbl.
#ifndef SYSREWRITE_TRAMPOLINE_CALL_NAMES_H_
#define SYSREWRITE_TRAMPOLINE_CALL_NAMES_H_

#include <cstdint>

namespace sysrewrite {

// "openat" for 257; nullptr for a number without a name.
const char* call_name(uint64_t number);
// -1 where no call has that name.
int64_t call_number(const char* name);

}  // namespace sysrewrite

#endif  // SYSREWRITE_TRAMPOLINE_CALL_NAMES_H_
