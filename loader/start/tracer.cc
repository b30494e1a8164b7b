#include "loader/start/tracer.h"

#include "loader/lines.h"
#include "loader/report.h"
#include "loader/text.h"

namespace sysrewrite {

bool is_traced() {
  Lines status("/proc/self/status");
  for (const char* line = status.next(); line != nullptr; line = status.next())
    if (const char* tracer = after(line, "TracerPid:\t")) return *tracer != '0';
  return false;
}

void warn_of_tracer(const char* program) {
  if (!is_traced()) return;
  note("trap", program,
       " is traced, and has sites of tier D: a debugger that keeps SIGTRAP to itself stops at the"
       " first of them for ever (sysrewrite inspect lists them)");
}

}  // namespace sysrewrite
