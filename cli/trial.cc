#include "cli/trial.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "cli/descriptor.h"
#include "cli/input_file.h"

namespace sysrewrite {

namespace {

std::string contents(int descriptor) {
  std::string all;
  char buffer[65536];
  for (off_t at = 0;;) {
    const ssize_t got = pread(descriptor, buffer, sizeof(buffer), at);
    if (got <= 0) return all;
    all.append(buffer, static_cast<size_t>(got));
    at += got;
  }
}

[[noreturn]] void be_the_trial(const std::function<int()>& body, int out, int err) {
  setpgid(0, 0);  // so that all of it can be killed
  const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(none, 0);
  dup2(out, 1);
  dup2(err, 2);
  _exit(body());
}

void wait_until(pid_t child, double seconds, TrialOutcome& outcome) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    outcome.timed_out = Clock::now() >= end;
    if (outcome.timed_out) kill(-child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(-child, SIGKILL);  // what it left behind
  outcome.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<TrialOutcome> try_out(const std::function<int()>& body, double seconds) {
  // Files, not pipes: nobody has to read while the command runs, whatever it prints. Opened for
  // appending, since several processes share them.
  const Descriptor out(memfd_create("stdout", MFD_CLOEXEC));
  const Descriptor err(memfd_create("stderr", MFD_CLOEXEC));
  if (!out.valid() || !err.valid()) return system_error("cannot create", "a memory file", errno);
  for (const Descriptor* file : {&out, &err}) fcntl(file->get(), F_SETFL, O_APPEND);
  const pid_t child = fork();
  if (child < 0) return system_error("cannot start", "a process", errno);
  if (child == 0) be_the_trial(body, out.get(), err.get());
  setpgid(child, child);
  TrialOutcome outcome;
  wait_until(child, seconds, outcome);
  outcome.out = contents(out.get());
  outcome.err = contents(err.get());
  return outcome;
}

}  // namespace sysrewrite
