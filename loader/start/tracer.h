// A process that traces this one: a debugger, strace.
#ifndef SYSREWRITE_LOADER_START_TRACER_H_
#define SYSREWRITE_LOADER_START_TRACER_H_

namespace sysrewrite {

// False where /proc does not tell.
bool is_traced();

// One line, where the program has sites of tier D and is traced: a debugger that keeps SIGTRAP to
// itself stops at the first of them, and again as often as it lets the program go on.
void warn_of_tracer(const char* program);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_START_TRACER_H_
