#include "cli/inheritance.h"

#include <sys/prctl.h>

namespace sysrewrite {

namespace {

// As far as one may: with privileges beyond the hard limit, which descriptors alone need not.
void raise_limit(__rlimit_resource resource, const rlimit& limit) {
  if (limit.rlim_cur == RLIM_INFINITY) return;
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  if (resource != RLIMIT_NOFILE && setrlimit(resource, &none) == 0) return;
  const rlimit most{limit.rlim_max, limit.rlim_max};
  setrlimit(resource, &most);
}

}  // namespace

Inheritance::Inheritance() {
  // Where a file may not grow as it has to, an error says so, too.
  sigset_t own;
  sigemptyset(&own);
  sigaddset(&own, SIGXFSZ);
  sigprocmask(SIG_BLOCK, &own, &mask_);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &by_default, &on_child_);
  for (size_t i = 0; i < kLimits.size(); ++i) {
    getrlimit(kLimits[i], &limits_[i]);
    raise_limit(kLimits[i], limits_[i]);
  }
}

void Inheritance::hold_signals(const sigset_t& signals) {
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const itimerval none{};
  for (size_t i = 0; i < kTimers.size(); ++i) setitimer(kTimers[i], &none, &timers_[i]);
  prctl(PR_GET_CHILD_SUBREAPER, &reaps_orphans_);
}

void Inheritance::hand_on() const {
  for (size_t i = 0; i < kLimits.size(); ++i)
    if (limits_[i].rlim_cur != RLIM_INFINITY) setrlimit(kLimits[i], &limits_[i]);
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
