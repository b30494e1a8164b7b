#include "cli/batch/supervisor.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "cli/arguments.h"
#include "cli/messages.h"

namespace sysrewrite {

namespace {

constexpr int kError = static_cast<int>(ExitStatus::kError);

// But for those that this process is to ignore: blocked, they would be waited for all the same.
sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction action {};
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN)
      sigaddset(&set, signal);
  }
  return set;
}

[[noreturn]] void be_the_child(pid_t parent, const sigset_t& mask,
                               const std::function<int()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kError);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // that whoever reads the report has left is an error like others
  int status = kError;
  try {
    status = work();
  } catch (const std::bad_alloc&) {
    std::fputs("sysrewrite: there is not enough memory\n", stderr);
  }
  _exit(finish_output(status));
}

[[noreturn]] void end_by(int signal, const sigset_t& mask) {
  std::signal(signal, SIG_DFL);
  raise(signal);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  sigprocmask(SIG_UNBLOCK, &alone, nullptr);
  _exit(128 + signal);
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

int supervise(const std::function<int()>& work, const std::function<void()>& clean_up) {
  const sigset_t watched = watched_signals();
  sigset_t mask;
  std::signal(SIGCHLD, SIG_DFL);  // ignored, the child's status would be lost
  sigprocmask(SIG_BLOCK, &watched, &mask);
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) be_the_child(parent, mask, work);
  if (child < 0) {
    print(stderr, fmt::format("sysrewrite: cannot fork: {}\n", std::strerror(errno)));
    clean_up();
    return kError;
  }
  int signal = 0, status = 0;
  while (true) {
    signal = sigwaitinfo(&watched, nullptr);
    if (signal < 0) continue;  // stopped and continued
    if (signal != SIGCHLD) break;
    if (waitpid(child, &status, WNOHANG) == child) break;
  }
  if (signal != SIGCHLD) {
    kill(child, SIGKILL);
    wait_for(child);
    clean_up();
    end_by(signal, mask);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != kError) {
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    return WEXITSTATUS(status);
  }
  if (WIFSIGNALED(status))
    print(stderr, fmt::format("sysrewrite: ended by a signal ({}); nothing was written\n",
                              strsignal(WTERMSIG(status))));
  clean_up();
  return kError;
}

}  // namespace sysrewrite
