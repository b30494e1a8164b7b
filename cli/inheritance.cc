#include "cli/inheritance.h"

namespace sysrewrite {

Inheritance::Inheritance(const sigset_t& signals) {
  sigprocmask(SIG_BLOCK, &signals, &mask_);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &by_default, &on_child_);
  getrlimit(RLIMIT_NOFILE, &descriptors_);
  rlimit most = descriptors_;
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
}

void Inheritance::restore() const {
  setrlimit(RLIMIT_NOFILE, &descriptors_);
  sigaction(SIGCHLD, &on_child_, nullptr);
  sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

}  // namespace sysrewrite
