#include "cli/inheritance.h"

#include <sys/prctl.h>

namespace sysrewrite {

Inheritance::Inheritance() {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &by_default, &on_child_);
  getrlimit(RLIMIT_NOFILE, &descriptors_);
  rlimit most = descriptors_;
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
}

void Inheritance::hold_signals(const sigset_t& signals) {
  sigprocmask(SIG_BLOCK, &signals, &mask_);
  const itimerval none{};
  for (size_t i = 0; i < kTimers.size(); ++i) setitimer(kTimers[i], &none, &timers_[i]);
  prctl(PR_GET_CHILD_SUBREAPER, &reaps_orphans_);
}

void Inheritance::hand_on() const {
  setrlimit(RLIMIT_NOFILE, &descriptors_);
  sigaction(SIGCHLD, &on_child_, nullptr);
  // Nobody could have it killed any more who knows the process that was to become it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (reaps_orphans_ != 0) prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (size_t i = 0; i < kTimers.size(); ++i) {
    const timeval& left = timers_[i].it_value;
    if (left.tv_sec != 0 || left.tv_usec != 0) setitimer(kTimers[i], &timers_[i], nullptr);
  }
  sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

}  // namespace sysrewrite
