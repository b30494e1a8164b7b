// What a program gets from whoever starts it, and hands on to what it executes. Under `run` all of
// that comes to run itself, which lives otherwise, and has to hand it on.
#ifndef SYSREWRITE_CLI_INHERITANCE_H_
#define SYSREWRITE_CLI_INHERITANCE_H_

#include <sys/resource.h>

#include <csignal>

namespace sysrewrite {

// It waits for SIGCHLD, which the kernel does not send where it is ignored, and keeps a descriptor
// open for each copy.
class Inheritance {
 public:
  // Blocks these signals, and takes what run needs. The program is to have all as it was before.
  explicit Inheritance(const sigset_t& signals);
  // In the child.
  void restore() const;

 private:
  sigset_t mask_{};
  struct sigaction on_child_ {};
  rlimit descriptors_{};
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_INHERITANCE_H_
