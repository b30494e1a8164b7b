#include "loader/tracer.h"

#include <cstring>

#include "loader/memory.h"
#include "loader/report.h"
#include "loader/syscalls.h"

namespace sysrewrite {

bool is_traced() {
  constexpr char kField[] = "\nTracerPid:\t";
  constexpr size_t kFieldSize = sizeof(kField) - 1;
  char status[2048];  // the field is among the first ten lines
  const sys::Fd fd = sys::open_for_reading("/proc/self/status");
  if (fd < 0) return false;
  const int64_t got = sys::read(fd, Memory::bytes(Memory::address_of(&status[0]), sizeof(status)));
  sys::close(fd);
  for (size_t at = 0; static_cast<int64_t>(at + kFieldSize) < got; ++at)
    if (memcmp(&status[at], kField, kFieldSize) == 0) return status[at + kFieldSize] != '0';
  return false;
}

void warn_of_tracer(const char* program) {
  if (!is_traced()) return;
  note("trap", program,
       " is traced, and has sites of tier D: a debugger that keeps SIGTRAP to itself stops at the"
       " first of them for ever (sysrewrite inspect lists them)");
}

}  // namespace sysrewrite
