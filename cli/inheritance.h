// What a program gets from whoever starts it, and hands on to what it executes. Under `run` all of
// that comes to run itself, which lives otherwise, and has to hand it on.
#ifndef SYSREWRITE_CLI_INHERITANCE_H_
#define SYSREWRITE_CLI_INHERITANCE_H_

#include <sys/resource.h>
#include <sys/time.h>

#include <array>
#include <csignal>

namespace sysrewrite {

// It waits for SIGCHLD, which the kernel does not send where it is ignored, keeps a descriptor open
// for each copy, and writes copies of whole libraries into its memory, and that of files.
class Inheritance {
 public:
  // Takes what run needs to start.
  Inheritance();
  // Before the program is started, and as late as can be: what arrives from then on is for it.
  // Blocks these signals in this thread, and stops what would send more.
  void hold_signals(const sigset_t& signals);
  // In the child. It has all as it was, and dies with this process, which natively it is.
  void hand_on() const;

 private:
  // Those that a fork does not copy.
  static constexpr std::array<__itimer_which_t, 3> kTimers{ITIMER_REAL, ITIMER_VIRTUAL,
                                                           ITIMER_PROF};
  // Below which run could not do what the program asks of it.
  static constexpr std::array<__rlimit_resource, 4> kLimits{RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS,
                                                            RLIMIT_DATA};
  sigset_t mask_{};
  struct sigaction on_child_ {};
  std::array<rlimit, kLimits.size()> limits_{};
  std::array<itimerval, kTimers.size()> timers_{};
  int reaps_orphans_ = 0;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INHERITANCE_H_
