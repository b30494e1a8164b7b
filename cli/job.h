// The process group of the program behind `run`, and the terminal that it may be in front of.
#ifndef SYSREWRITE_CLI_JOB_H_
#define SYSREWRITE_CLI_JOB_H_

#include <sys/types.h>

namespace sysrewrite {

// Whether this process's standard input and output leave it a terminal to itself: in a pipeline
// others want it, too.
bool is_alone_in_job();

// The program may have made itself the leader of a group, as a shell or timeout does: natively it
// would be that already where this process leads its own, by which an interactive shell has started
// it. What the terminal, or that shell, then does to this process's group is meant for the
// program's. For a process that has all signals blocked.
class Job {
 public:
  Job(pid_t program, bool is_alone) : program_(program), is_alone_(is_alone) {}

  bool is_apart() const;

  // To the program's group where it is apart, else to the program: the others of this process's
  // group have got it.
  void send(int signal) const;

  // In front of the terminal in this process's place, where that is there and has it to itself.
  bool put_in_front() const;
  // And back, where nobody has taken the terminal meanwhile.
  void put_back() const;

 private:
  pid_t program_;
  bool is_alone_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_CLI_JOB_H_
