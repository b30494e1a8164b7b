// Printing the counters.
#ifndef SYSREWRITE_LOADER_COUNT_TABLE_H_
#define SYSREWRITE_LOADER_COUNT_TABLE_H_

#include <cstdint>

#include "loader/report.h"

namespace sysrewrite {

inline constexpr uint32_t kCounterCount = 65536;

// Writes the table to standard error: most frequent calls first, then by number, and a total.
void print_count_table();

// "openat"; nullptr for a number without a name.
const char* call_name(uint64_t number);
// -1 where no call has that name.
int64_t call_number(const char* name);

// "openat", or "syscall_1000" for a number without a name.
void write_call_name(Writer& out, uint64_t number);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_COUNT_TABLE_H_
