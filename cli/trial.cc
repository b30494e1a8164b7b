#include "cli/trial.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>

#include "cli/descriptor.h"
#include "cli/input_file.h"

namespace sysrewrite {

namespace {

constexpr off_t kMostPrinted = 64 << 20;  // bytes, of each of the two

// Files, not pipes: nobody has to read while the command runs, whatever it prints.
struct Printed {
  Descriptor out{memfd_create("stdout", MFD_CLOEXEC)}, err{memfd_create("stderr", MFD_CLOEXEC)};
};

std::string contents(const Descriptor& file) {
  std::string all;
  char buffer[65536];
  for (off_t at = 0;;) {
    const ssize_t got = pread(file.get(), buffer, sizeof(buffer), at);
    if (got <= 0 || at > kMostPrinted) return all;
    all.append(buffer, static_cast<size_t>(got));
    at += got;
  }
}

// While a trial is under way: what ends this process ends the trial first, which has a process
// group of its own, and that it has ended is told, whatever was inherited.
class Watch {
 public:
  Watch() {
    sigemptyset(&awaited_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&awaited_, signal);
    sigprocmask(SIG_BLOCK, &awaited_, &mask_);
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &by_default, &on_child_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { leave(); }

  // For the trial itself, too.
  void leave() const {
    sigaction(SIGCHLD, &on_child_, nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

  // Sleeps for a moment. True where a signal waits for which this process would end.
  bool is_to_end() const {
    constexpr timespec kMoment = {0, 2000000};
    const int signal = sigtimedwait(&awaited_, nullptr, &kMoment);
    if (signal > 0) raise(signal);  // again, for leave()
    return signal > 0;
  }

 private:
  sigset_t awaited_{}, mask_{};
  struct sigaction on_child_ {};
};

[[noreturn]] void be_the_trial(const std::function<int()>& body, int out, int err) {
  setpgid(0, 0);  // so that all of it can be killed
  const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(none, 0);
  dup2(out, 1);
  dup2(err, 2);
  _exit(body());
}

bool is_too_large(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && status.st_size > kMostPrinted;
}

void wait_until(pid_t child, double seconds, const Watch& watch, TrialOutcome& outcome,
                const Printed& printed) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    outcome.timed_out = Clock::now() >= end;
    outcome.printed_too_much = is_too_large(printed.out.get()) || is_too_large(printed.err.get());
    if (watch.is_to_end() || outcome.timed_out || outcome.printed_too_much) kill(-child, SIGKILL);
  }
  kill(-child, SIGKILL);  // what it left behind
  outcome.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<TrialOutcome> try_out(const std::function<int()>& body, double seconds) {
  const Printed printed;
  if (!printed.out.valid() || !printed.err.valid())
    return system_error("cannot create", "a memory file", errno);
  // Several processes share them.
  for (const Descriptor* file : {&printed.out, &printed.err}) fcntl(file->get(), F_SETFL, O_APPEND);
  const Watch watch;
  const pid_t child = fork();
  if (child < 0) return system_error("cannot start", "a process", errno);
  if (child == 0) {
    watch.leave();
    be_the_trial(body, printed.out.get(), printed.err.get());
  }
  setpgid(child, child);
  TrialOutcome outcome;
  wait_until(child, seconds, watch, outcome, printed);
  outcome.out = contents(printed.out);
  outcome.err = contents(printed.err);
  return outcome;
}

}  // namespace sysrewrite
