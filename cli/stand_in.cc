#include "cli/stand_in.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <ctime>

namespace sysrewrite {

namespace {

bool is_pending(int signal) {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

// Whether the program would have got it, had it been executed here, and has not got it as well.
bool is_for_program(const signalfd_siginfo& info, const Job& job) {
  // What this process raises itself, by writing where nobody reads, is its own.
  if (info.ssi_code <= 0) return static_cast<pid_t>(info.ssi_pid) != getpid();
  switch (static_cast<int>(info.ssi_signo)) {
    case SIGCHLD:  // of this process's own children
    case SIGXCPU:  // and of its time
      return false;
    case SIGINT:  // What the terminal sends goes to the whole group.
    case SIGQUIT:
    case SIGTSTP:
    case SIGWINCH:
      return job.is_apart();
    case SIGTTIN:
    case SIGTTOU:
      return false;
    case SIGHUP:   // But that it was hung up the session's leader hears alone. Source: linux,
    case SIGCONT:  // drivers/tty/tty_jobctrl.c, tty_signal_session_leader().
      return getsid(0) == getpid();
    default:  // a file's, which was told to send them to this process
      return true;
  }
}

// By a terminal, or by a shell that lets its job go on: these are told whole groups.
bool is_for_groups(const signalfd_siginfo& info) {
  return info.ssi_code > 0 || info.ssi_signo == SIGCONT;
}

void forward(const signalfd_siginfo& info, pid_t child, const Job& job) {
  const auto signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCONT) job.put_in_front();
  if (info.ssi_code == SI_QUEUE) {
    sigqueue(child, signal, {.sival_ptr = std::bit_cast<void*>(info.ssi_ptr)});
  } else if (is_for_groups(info)) {
    job.send(signal);
  } else {
    kill(child, signal);
  }
}

bool is_stopped(pid_t process) {
  char path[64], status[512] = {};
  // Only what may be called between fork and exec of a program with threads.
  *fmt::format_to_n(path, sizeof(path) - 1, "/proc/{}/stat", process).out = 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const ssize_t size = read(file, status, sizeof(status) - 1);
  close(file);
  const char* behind_name = size > 0 ? std::strrchr(status, ')') : nullptr;
  return behind_name != nullptr && (behind_name[2] == 'T' || behind_name[2] == 't');
}

// By the default action of that signal, so that whoever waits sees the same one.
void stop_by(int signal) {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(signal, &by_default, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  // Blocked, so that it stops once where the terminal has sent another one: SIGCONT takes both
  // away.
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  // In a group that nobody could wake none but this one stops. Source: linux, kernel/signal.c,
  // get_signal(). SIGCONT waits where it did stop, since a stop takes away an earlier one.
  if (!is_pending(SIGCONT)) raise(SIGSTOP);
}

// Stops as the program has stopped, until it goes on. Whoever stopped it may make it go on alone,
// and a process that is stopped cannot see that: another one looks, meanwhile.
void stop_with(pid_t child, int signal, pid_t* watcher) {
  *watcher = fork();
  if (*watcher == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Until it is killed: once might be before the parent has stopped.
    for (const timespec pause{0, 10'000'000};; nanosleep(&pause, nullptr))
      if (!is_stopped(child)) kill(getppid(), SIGCONT);
  }
  stop_by(signal);
  if (*watcher < 0) return;
  kill(*watcher, SIGKILL);
  waitpid(*watcher, nullptr, 0);
}

}  // namespace

// All, since a program may send any to its process group, and handle it. A mistake of this process
// shows all the same: a fault is not blocked, and abort() unblocks its signal. Source: linux,
// kernel/signal.c, force_sig_info_to_task().
sigset_t forwarded_signals() {
  sigset_t set;
  sigfillset(&set);
  return set;
}

int stand_in_for(pid_t child, const Job& job, const Descriptor& signals, RewriteServer& server) {
  pid_t watcher = -1;
  for (;;) {
    server.serve_until_readable(signals.get());
    signalfd_siginfo info{};
    if (read(signals.get(), &info, sizeof(info)) != sizeof(info)) continue;
    const auto sender = static_cast<pid_t>(info.ssi_pid);
    if (info.ssi_signo == SIGCONT && sender == watcher) continue;
    if (is_for_program(info, job)) forward(info, child, job);
    if (info.ssi_signo != SIGCHLD) continue;
    int status = 0;
    // All, since the orphans of a namespace may be this process's to reap.
    while (const pid_t changed = waitpid(-1, &status, WNOHANG | WUNTRACED)) {
      if (changed < 0) break;
      if (changed != child) continue;
      if (!WIFSTOPPED(status)) {
        job.put_back();
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      const int by = WSTOPSIG(status);
      // It wants the terminal, which this group has been given: natively that would be its own.
      if ((by == SIGTTIN || by == SIGTTOU) && job.put_in_front()) {
        job.send(SIGCONT);
        continue;
      }
      // Whoever has stopped both, and tells this process alone to go on, means the program.
      if (!is_pending(SIGCONT)) stop_with(child, by, &watcher);
    }
  }
}

}  // namespace sysrewrite
