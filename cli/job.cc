#include "cli/job.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "cli/descriptor.h"
#include "trampoline/pipeline.h"

namespace sysrewrite {

namespace {

bool joins(int file) {
  struct stat status {};
  return fstat(file, &status) == 0 && joins_programs(status.st_mode);
}

// Who is behind may do this with SIGTTOU blocked. Source: linux, drivers/tty/tty_jobctrl.c,
// __tty_check_change().
bool move_terminal(pid_t from, pid_t to) {
  const Descriptor terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  return terminal.valid() && tcgetpgrp(terminal.get()) == from &&
         tcsetpgrp(terminal.get(), to) == 0;
}

}  // namespace

bool is_alone_in_job() {
  return !joins(STDIN_FILENO) && !joins(STDOUT_FILENO);
}

bool Job::is_apart() const {
  return getpgrp() == getpid() && getpgid(program_) == program_;
}

void Job::send(int signal) const {
  kill(is_apart() ? -program_ : program_, signal);
}

bool Job::put_in_front() const {
  return is_alone_ && is_apart() && move_terminal(getpgrp(), program_);
}

void Job::put_back() const {
  if (is_alone_ && getpgrp() == getpid()) move_terminal(program_, getpgrp());
}

}  // namespace sysrewrite
