// A process group that natively the program would lead from its start.
#ifndef SYSREWRITE_LOADER_SERVE_JOB_H_
#define SYSREWRITE_LOADER_SERVE_JOB_H_

#include <cstdint>

namespace sysrewrite {

// setpgid(pid, group). Where a shell has made `run` the leader of a job, natively the program would
// be that leader, and to make itself one changes nothing. Under `run` it gets another group, and is
// not in front of the terminal any more: so that is put in front instead. False: the call is no
// such one, and passes.
bool serve_setpgid(uint64_t pid, uint64_t group, int64_t* answer);

}  // namespace sysrewrite

#endif  // SYSREWRITE_LOADER_SERVE_JOB_H_
