#include "bench/command.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace sysrewrite::bench {

namespace {

// What a child writes: a file in memory, so that it can write any amount without being read.
class Capture {
 public:
  Capture() : descriptor_(memfd_create("output", MFD_CLOEXEC)) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() { close(descriptor_); }

  int descriptor() const { return descriptor_; }

  std::string text() const {
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0;
         (got = pread(descriptor_, buffer, sizeof(buffer), static_cast<off_t>(text.size()))) > 0;)
      text.append(buffer, static_cast<size_t>(got));
    return text;
  }

 private:
  int descriptor_;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (std::string& string : strings) result.push_back(string.data());
  result.push_back(nullptr);
  return result;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

[[noreturn]] void stop(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

std::string product_path(const char* variable, const std::string& built) {
  const char* named = std::getenv(variable);
  const std::string path = named != nullptr && named[0] != 0 ? named : built;
  if (path.empty())
    stop(std::string("this build has none, and $") + variable + " does not name one");
  if (access(path.c_str(), X_OK) != 0)
    stop(path + ": " + std::strerror(errno) + "; build it, or name another one in $" + variable);
  return std::filesystem::absolute(path).string();
}

}  // namespace

Finished run(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  std::vector<std::string> arguments = argv;
  std::vector<std::string> variables = environment;
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  const Capture out, err;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor(), STDERR_FILENO);

  Finished finished;
  pid_t child = 0;
  int status = 0;
  struct rusage usage {};
  const auto start = std::chrono::steady_clock::now();
  const int failed = posix_spawnp(&child, arguments[0].c_str(), &actions, nullptr,
                                  pointers(arguments).data(), pointers(variables).data());
  if (failed == 0 && wait4(child, &status, 0, &usage) == child)
    finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const auto end = std::chrono::steady_clock::now();

  posix_spawn_file_actions_destroy(&actions);
  finished.seconds = std::chrono::duration<double>(end - start).count();
  finished.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  finished.peak_rss = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  finished.out = out.text();
  finished.err = failed != 0 ? std::strerror(failed) : err.text();
  return finished;
}

std::string describe(const std::vector<std::string>& argv, const Finished& finished) {
  std::string text;
  for (const std::string& argument : argv) text += (text.empty() ? "`" : " ") + argument;
  return text + "` ended with " + std::to_string(finished.status) + ": " +
         finished.err.substr(0, finished.err.find('\n'));
}

Finished must_run(const std::vector<std::string>& argv,
                  const std::vector<std::string>& environment) {
  Finished finished = run(argv, environment);
  if (finished.status != 0) throw std::runtime_error(describe(argv, finished));
  return finished;
}

std::string sysrewrite_path() {
  return product_path("SYSREWRITE", BENCH_SYSREWRITE);
}
std::string sysload_path() {
  return product_path("SYSLOAD", BENCH_SYSLOAD);
}

void stay_on_one_processor() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  // The last one: interrupts tend to be served by the first.
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

}  // namespace sysrewrite::bench
