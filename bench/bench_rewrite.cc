// How long a rewrite takes, beside `cp` of the same file.
//
//   command/FILE   the whole process, `sysrewrite -q IN OUT`, from its start until it was waited
//                  for; before each, `cp IN OUT` in the same directory. `ratio` is one by the
//                  other.
//   library/FILE   rewrite() alone, bytes in and bytes out, the input mapped and paged in before
//   command/start  `sysrewrite --version`: what starting the process costs, in each of the above
//
// The input is a copy in the directory where the outputs go, just read, and each output is removed
// before the next is written. So nothing is read from a disk, and both find the same file system.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <stdexcept>

#include "bench/command.h"
#include "bench/heap_peak.h"
#include "bench/largest_elf.h"
#include "bench/scratch.h"
#include "bench/suite.h"
#include "rewriter/pipeline.h"

namespace sysrewrite::bench {

namespace {

namespace fs = std::filesystem;

constexpr double kMegabyte = 1e6;
constexpr uint64_t kSpareMemory = 512 << 20;  // a copy does not take the very pages just freed

// The inputs, found on first use, each copied to where the outputs go.
class Inputs {
 public:
  explicit Inputs(const Scratch& scratch) : scratch_(scratch) {}

  // `name` as in the cases' names, or a path.
  const std::string& staged(const std::string& name) {
    const auto known = staged_.find(name);
    if (known != staged_.end()) return known->second;
    const std::string source = locate(name);
    const std::string copy = scratch_.path("in." + std::to_string(staged_.size()));
    fs::copy_file(source, copy);
    write_back(copy);
    std::fprintf(stderr, "bench: %s is %s, %ju bytes\n", name.c_str(), source.c_str(),
                 fs::file_size(copy));
    return staged_[name] = copy;
  }

 private:
  static std::string locate(const std::string& name) {
    if (name == "busybox") return in_path(name);
    if (name == "libc.so.6") return own_libc();
    if (name != "largest") return name;
    const char* named = std::getenv("SYSREWRITE_BENCH_LARGEST");
    std::string largest = named != nullptr ? named : find_largest_elf("/usr");
    if (largest.empty()) throw std::runtime_error("no x86-64 ELF file below /usr");
    return largest;
  }

  static std::string in_path(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream directories(path != nullptr ? path : "/bin:/usr/bin");
    for (std::string directory; std::getline(directories, directory, ':');) {
      std::string candidate = directory;
      candidate += "/" + name;
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    throw std::runtime_error("there is no " + name + " in $PATH");
  }

  // The C library that this very process runs with.
  static std::string own_libc() {
    Dl_info info{};
    void* function = dlsym(RTLD_DEFAULT, "getppid");
    if (function == nullptr || dladdr(function, &info) == 0)
      throw std::runtime_error("cannot tell where libc.so.6 is");
    return fs::canonical(info.dli_fname).string();
  }

  // So that the kernel does not write it to the disk while others are measured.
  static void write_back(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    fsync(file);
    close(file);
  }

  const Scratch& scratch_;
  std::map<std::string, std::string> staged_;
};

// Makes a hypervisor give this machine the memory that the next copy will take. Where free memory
// is handed back to the host (a balloon device with free page reporting), the first touch of a page
// costs ten times what copying into it does, and it would hit whichever command runs later. In a
// child, since what this process has touched counts in its children's peak_rss.
void warm_free_memory(uint64_t wanted) {
  const pid_t child = fork();
  if (child == 0) {
    const auto pages = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES));
    const uint64_t bytes = std::min(wanted, pages * kPageSize / 2);
    const void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    _exit(memory == MAP_FAILED ? 1 : 0);
  }
  waitpid(child, nullptr, 0);
}

// Runs a command that writes `output`, and removes that again outside of the measured time.
Finished run_writing(const std::vector<std::string>& argv, const std::string& output,
                     std::initializer_list<int> good) {
  Finished finished = run(argv);
  fs::remove(output);
  for (const int status : good)
    if (finished.status == status) return finished;
  throw std::runtime_error(describe(argv, finished));
}

struct LibraryRun {
  double seconds = 0;
  uint64_t heap = 0;  // bytes
};

// rewrite() in a process of its own: whatever it leaves behind then weighs on no other measurement.
LibraryRun run_library(const std::string& input, bool count) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(input.c_str(), O_RDONLY | O_CLOEXEC);
    const size_t size = fs::file_size(input);
    void* bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (bytes == MAP_FAILED) _exit(1);
    if (count) count_heap();
    const auto start = std::chrono::steady_clock::now();
    const auto rewritten = rewrite({static_cast<const std::byte*>(bytes), size}, Options{});
    const auto end = std::chrono::steady_clock::now();
    if (!rewritten) _exit(1);
    const LibraryRun done{std::chrono::duration<double>(end - start).count(), heap_peak()};
    _exit(write(ends[1], &done, sizeof(done)) == sizeof(done) ? 0 : 1);
  }
  close(ends[1]);
  LibraryRun done;
  const bool whole = read(ends[0], &done, sizeof(done)) == sizeof(done);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  if (!whole) throw std::runtime_error("rewrite() fails on " + input);
  return done;
}

class Cases {
 public:
  explicit Cases(Suite& suite) : suite_(suite), sysrewrite_(sysrewrite_path()), inputs_(scratch_) {}

  // `name` is one that Inputs knows, or a path.
  void add(const std::string& name) {
    const std::string shown = fs::path(name).filename().string();
    suite_.add("command/" + shown, benchmark::kMillisecond,
               [this, name](benchmark::State& state) { command(state, name); });
    suite_.add("library/" + shown, benchmark::kMillisecond,
               [this, name](benchmark::State& state) { library(state, name); });
  }

  void add_start() {
    suite_.add("command/start", benchmark::kMillisecond, [this](benchmark::State& state) {
      state.SetIterationTime(run_writing({sysrewrite_, "--version"}, output(), {0}).seconds);
    });
  }

 private:
  std::string output() const { return scratch_.path("out"); }

  void command(benchmark::State& state, const std::string& name) {
    const std::string& input = inputs_.staged(name);
    const uint64_t size = fs::file_size(input);
    warm_free_memory(2 * size + kSpareMemory);
    const Finished copied = run_writing({"cp", input, output()}, output(), {0});
    warm_free_memory(2 * size + kSpareMemory);
    // 3: written, but sites were left native.
    const Finished done = run_writing({sysrewrite_, "-q", input, output()}, output(), {0, 3});
    state.SetIterationTime(done.seconds);
    state.counters["cp_ms"] = copied.seconds * 1e3;
    state.counters["ratio"] = done.seconds / copied.seconds;
    state.counters["file_MB"] = static_cast<double>(size) / kMegabyte;
    state.counters["rss_MB"] = static_cast<double>(done.peak_rss) / kMegabyte;
  }

  void library(benchmark::State& state, const std::string& name) {
    const std::string& input = inputs_.staged(name);
    if (!heap_.contains(name)) heap_[name] = run_library(input, true).heap;
    const LibraryRun done = run_library(input, false);
    const double megabytes = static_cast<double>(fs::file_size(input)) / kMegabyte;
    state.SetIterationTime(done.seconds);
    state.counters["MB_per_s"] = megabytes / done.seconds;
    state.counters["heap_MB"] = static_cast<double>(heap_[name]) / kMegabyte;
  }

  Suite& suite_;
  std::string sysrewrite_;
  Scratch scratch_;  // behind what may end the process, and would leave the directory
  Inputs inputs_;
  std::map<std::string, uint64_t> heap_;
};

}  // namespace

}  // namespace sysrewrite::bench

// Arguments that are no options are further files to measure.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  sysrewrite::bench::Suite suite;
  sysrewrite::bench::Cases cases(suite);
  cases.add_start();
  for (const char* name : {"busybox", "libc.so.6", "largest"}) cases.add(name);
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') return benchmark::ReportUnrecognizedArguments(argc, argv), 2;
    cases.add(argv[i]);
  }
  return suite.run();
}
