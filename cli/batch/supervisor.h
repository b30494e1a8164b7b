// Work whose traces go away with it, however it ends.
#ifndef SYSREWRITE_CLI_BATCH_SUPERVISOR_H_
#define SYSREWRITE_CLI_BATCH_SUPERVISOR_H_

#include <functional>

namespace sysrewrite {

// Runs `work` in a child process, and `clean_up` in this one where it returned 1 or ran out of
// memory, where a signal ended it (a file that becomes shorter while it is mapped raises SIGBUS),
// or where this process was told to end by SIGINT, SIGTERM, SIGHUP or SIGQUIT: then it ends by that
// signal. Returns what `work` returned, or 1, also where standard output does not take what `work`
// has printed. Call before the first thread is made. The child does not outlive this process.
int supervise(const std::function<int()>& work, const std::function<void()>& clean_up);

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_BATCH_SUPERVISOR_H_
