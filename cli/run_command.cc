#include "cli/run_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <bit>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <set>

#include "cli/descriptor.h"
#include "cli/hook_memory.h"
#include "cli/input_file.h"
#include "cli/loader_path.h"
#include "cli/messages.h"
#include "cli/program_path.h"

// The parent stays: it is the hosted rewriter. It must be as if it were not there: what is sent to
// it goes to the program, what the terminal sends to both it leaves to the program, and when the
// program stops, it stops.

namespace sysrewrite {

namespace {

constexpr int kCannotStart = 127;

void complain(const std::string& message) {
  print(stderr, "sysrewrite: run: " + message + "\n");
}

Result<Descriptor> open_loader(const RunCommand& command) {
  const auto path = loader_path(command.loader);
  if (!path) return path.error();
  Descriptor loader(open(path->c_str(), O_RDONLY | O_CLOEXEC));
  if (!loader.valid()) return system_error("cannot open the loader", *path, errno);
  return loader;
}

// All, since a program may send any to its process group, and handle it. A mistake of this process
// shows all the same: a fault is not blocked, and abort() unblocks its signal. Source: linux,
// kernel/signal.c, force_sig_info_to_task().
sigset_t forwarded_signals() {
  sigset_t set;
  sigfillset(&set);
  return set;
}

bool is_pending(int signal) {
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

// What the terminal sends, the program has got as well; what this process raises itself, by writing
// where nobody reads, is its own.
void forward(const signalfd_siginfo& info, pid_t child) {
  if (info.ssi_code > 0 || static_cast<pid_t>(info.ssi_pid) == getpid()) return;
  const auto signal = static_cast<int>(info.ssi_signo);
  if (info.ssi_code == SI_QUEUE) {
    sigqueue(child, signal, {.sival_ptr = std::bit_cast<void*>(info.ssi_ptr)});
  } else {
    kill(child, signal);
  }
}

std::vector<std::string> loader_arguments(const RunCommand& command, const std::string& server,
                                          const ResolvedProgram& program) {
  std::vector<std::string> arguments{"sysload", "--server", server};
  for (const std::string& hook : command.hooks)
    arguments.insert(arguments.end(), {"--hook", hook_for_programs(hook)});
  if (command.exhaustive) arguments.emplace_back("--exhaustive");
  if (command.hide_vdso) arguments.insert(arguments.end(), {"--vdso", "hide"});
  if (!command.follow) arguments.emplace_back("--no-follow");
  if (command.unpatched == UnpatchedPolicy::kFail)
    arguments.insert(arguments.end(), {"--unpatched", "fail"});
  if (!program.script.empty()) arguments.insert(arguments.end(), {"--execfn", program.script});
  arguments.insert(arguments.end(), {"--argv0", program.arguments.front(), "--", program.path});
  arguments.insert(arguments.end(), program.arguments.begin() + 1, program.arguments.end());
  return arguments;
}

// What the program must inherit as run got it, although run itself lives otherwise: it waits for
// SIGCHLD, which the kernel does not send where it is ignored, and keeps a descriptor open for each
// copy.
class Inheritance {
 public:
  explicit Inheritance(const sigset_t& signals) {
    sigprocmask(SIG_BLOCK, &signals, &mask_);
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &by_default, &on_child_);
    getrlimit(RLIMIT_NOFILE, &descriptors_);
    rlimit most = descriptors_;
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
  }
  void restore() const {
    setrlimit(RLIMIT_NOFILE, &descriptors_);
    sigaction(SIGCHLD, &on_child_, nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

 private:
  sigset_t mask_{};
  struct sigaction on_child_ {};
  rlimit descriptors_{};
};

pid_t spawn(int loader, const std::vector<std::string>& arguments, const Inheritance& inheritance) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  // Until it executes, the child has this process's memory: no page table is copied, and none of
  // this process's pages is copied behind it. It changes nothing there but what a failure says.
  const pid_t child = vfork();
  if (child != 0) return child;
  inheritance.restore();
  fexecve(loader, argv.data(), environ);
  complain(fmt::format("cannot start the loader: {}", std::strerror(errno)));
  _exit(kCannotStart);
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

// Stops as the program has stopped, until it goes on. Whoever stopped it may make it go on alone,
// and a process that is stopped cannot see that: another one looks, meanwhile.
void stop_with(pid_t child, pid_t* watcher) {
  *watcher = fork();
  if (*watcher == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Until it is killed: once might be before the parent has stopped.
    for (const timespec pause{0, 10'000'000};; nanosleep(&pause, nullptr))
      if (!is_stopped(child)) kill(getppid(), SIGCONT);
  }
  raise(SIGSTOP);
  if (*watcher < 0) return;
  kill(*watcher, SIGKILL);
  waitpid(*watcher, nullptr, 0);
}

// Serves, waits and forwards until the child is gone; its status as a shell shows it.
int wait_for(pid_t child, const Descriptor& signals, RewriteServer& server) {
  pid_t watcher = -1;
  for (;;) {
    server.serve_until_readable(signals.get());
    signalfd_siginfo info{};
    if (read(signals.get(), &info, sizeof(info)) != sizeof(info)) continue;
    const auto sender = static_cast<pid_t>(info.ssi_pid);
    if (info.ssi_signo == SIGCONT && sender == watcher) continue;
    if (info.ssi_signo != SIGCHLD) {
      forward(info, child);
      continue;
    }
    int status = 0;
    while (waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
      // Whoever has stopped both, and tells this process alone to go on, means the program.
      if (WIFSTOPPED(status) && !is_pending(SIGCONT)) stop_with(child, &watcher);
    }
  }
}

// What ran without its calls being seen: a line each, and each once.
std::vector<std::string> natives_of(const RewriteServer& server) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const NativeObject& object : server.natives()) {
    std::string line = object.path + ": " + object.reason;
    if (seen.insert(line).second) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

int execute(const RunCommand& command) {
  const auto program = resolve_program(command.command);
  if (!program) return complain(program.error().message), kCannotStart;
  const auto loader = open_loader(command);
  if (!loader) return complain(loader.error().message), kCannotStart;
  const sigset_t signals = forwarded_signals();
  // Before any thread, which blocks what it blocks.
  const Inheritance inheritance(signals);
  // What is selected otherwise than always is nothing for another run.
  const bool use_cache = command.use_cache && !command.select;
  const RewriteCache cache = use_cache ? RewriteCache::for_user() : RewriteCache::none();
  auto hooks = HookMemory::start(command.hooks);
  if (!hooks) return complain(hooks.error().message), kCannotStart;
  auto server = RewriteServer::start(
      // A call that is caught is named by what is mapped there, which is better a file.
      {command.unpatched, loader->get(), &cache, hooks->get(), !command.exhaustive, command.select,
       command.rewritten});
  if (!server) return complain(server.error().message), kCannotStart;
  const Descriptor arrived(signalfd(-1, &signals, SFD_CLOEXEC));
  if (!arrived.valid())
    return complain(fmt::format("cannot wait for signals: {}", std::strerror(errno))), kCannotStart;
  const pid_t child =
      spawn(loader->get(), loader_arguments(command, (*server)->name(), *program), inheritance);
  if (child < 0)
    return complain(fmt::format("cannot fork: {}", std::strerror(errno))), kCannotStart;
  const int status = wait_for(child, arrived, **server);
  (*server)->stop();
  const std::vector<std::string> natives = natives_of(**server);
  (*hooks)->stop(natives);
  cache.tidy();
  if (!command.quiet) {
    for (const std::string& line : natives) complain("native: " + line);
    if (const std::string problem = cache.problem(); !problem.empty())
      complain(
          fmt::format("nothing is kept for the next run: {} (--no-cache runs without, and without "
                      "this line)",
                      problem));
  }
  return status;
}

}  // namespace sysrewrite
