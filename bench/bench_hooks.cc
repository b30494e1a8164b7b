// What hooks cost, beside other ways of seeing the same calls.
//
// A round runs a loop of calls natively and under the hook (or the other way), in turn. `over` is
// what a call costs beyond the native one, in nanoseconds; `ratio` of whole runs is that of their
// times. The case `native` compares the loop with itself: its `over` is the noise of the others.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "bench/command.h"
#include "bench/comparison.h"
#include "bench/scratch.h"
#include "bench/suite.h"

namespace sysrewrite::bench {

namespace {

using Words = std::vector<std::string>;

constexpr int kAlternations = 7;
constexpr int kProjectAlternations = 3;  // of ten seconds each

// Debian's package binutils-source: the one project in C there that is configured by itself, in a
// folder of its own, and needs nothing else.
constexpr char kProjectArchive[] = "/usr/src/binutils/binutils-*.tar.xz";

// A loop that prints its own time.
struct Loop {
  Words argv;
  Words environment;
  int calls;

  double nanoseconds() const {
    return std::strtod(must_run(argv, environment).out.c_str(), nullptr) / calls;
  }
};

class Programs {
 public:
  Programs() : sysrewrite_(sysrewrite_path()), sysload_(sysload_path()) {}

  Words calls(const std::string& number, int count) const {
    return {BENCH_CALL_PROGRAM, "constant", number, std::to_string(count)};
  }
  Words mechanism(const std::string& kind, int count) const {
    return {BENCH_MECHANISMS, kind, std::to_string(count)};
  }
  Words rewritten(Words argv) const {
    std::string& output = rewritten_[argv[0]];
    if (output.empty()) {
      output = scratch_.path(std::to_string(rewritten_.size()));
      must_run({sysrewrite_, "-q", "--interp", sysload_, argv[0], output});
    }
    argv[0] = output;
    return argv;
  }
  Words under_run(const std::string& hook, const Words& argv) const {
    Words words{sysrewrite_, "run", "-q", "--loader", sysload_, "--hook", hook, "--"};
    words.insert(words.end(), argv.begin(), argv.end());
    return words;
  }
  Words cache() const {
    return {"XDG_CACHE_HOME=" + scratch_.path("cache"), "XDG_STATE_HOME=" + scratch_.path("state")};
  }

  // Six tiny C files, built anew by each run: next to nothing but starts of programs.
  Words build_tiny() const {
    const std::string folder = scratch_.path("tiny");
    if (access(folder.c_str(), F_OK) != 0) make_tiny(folder);
    return {"make", "-C", folder, "-B", "-s", "-j2"};
  }

  // libiberty, as its own makefile builds it, with the flags that packages are built with.
  Words build_project() const {
    const std::string folder = scratch_.path("project");
    if (access(folder.c_str(), F_OK) != 0) make_project(folder);
    return {"sh", "-c", "cd \"$0/libiberty\" && make -s clean >/dev/null && make -s -j2", folder};
  }

 private:
  static void make_project(const std::string& folder) {
    must_run({"sh", "-c",
              std::string("set -e; archive=$(echo ") + kProjectArchive +
                  "); test -f \"$archive\" || { echo install binutils-source >&2; exit 1; }; "
                  "mkdir \"$0\"; cd \"$0\"; tar -xf \"$archive\" --strip-components=1 --wildcards "
                  "'*/libiberty' "
                  "'*/include' '*/config' '*/config*.*' '*/install-sh' '*/mkinstalldirs'; "
                  "cd libiberty; ./configure CFLAGS='-O2 -g' >/dev/null",
              folder});
  }

  static void make_tiny(const std::string& folder) {
    must_run({"mkdir", folder});
    std::ofstream makefile(folder + "/Makefile");
    makefile << "program: a.o b.o c.o d.o e.o f.o\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O2 -c -o "
                "$@ $<\n";
    for (const char name : std::string("abcdef")) {
      std::ofstream source(folder + "/" + name + ".c");
      source
          << "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
          << "#include <sys/stat.h>\n#include <pthread.h>\n"
          << "int " << name << "_sum(const int* values, int count) {\n  int sum = 0;\n"
          << "  for (int i = 0; i < count; i++) sum += values[i];\n  return sum;\n}\n";
      if (name == 'a') source << "int main(void) { return puts(\"built\") < 0; }\n";
    }
  }

  std::string sysrewrite_;
  std::string sysload_;
  mutable std::map<std::string, std::string> rewritten_;
  Scratch scratch_;
};

void compare(benchmark::State& state, const Loop& native, const Loop& seen) {
  compare_loops(
      state, kAlternations, [&] { return native.nanoseconds(); },
      [&] { return seen.nanoseconds(); });
}

void compare(benchmark::State& state, int alternations, const Words& native, const Words& seen,
             const Words& environment) {
  must_run(seen, environment);  // fills the cache
  compare_runs(
      state, alternations, [&] { return must_run(native); },
      [&] { return must_run(seen, environment); });
}

void add_calls(Suite& suite, const Programs& programs) {
  // A hook that wants none of these calls; one that sees their beginning; their end; both; both,
  // with vector registers kept; one that answers, so that the kernel is not entered; and one that
  // counts.
  const char* const hooks[][2] = {{"uninterested", "pass:only=chdir"},
                                  {"entry", "pass"},
                                  {"exit", "pass:exit"},
                                  {"entry+exit", "pass:entry:exit"},
                                  {"vectors", "pass:vectors"},
                                  {"vectors+x87", "pass:vectors:x87"},
                                  {"answer", "pass:only=1000:answer"},
                                  {"answer+vectors", "pass:only=1000:answer:vectors"},
                                  {"count", "count:output=/dev/null"}};
  constexpr int kCalls = 100000;
  const auto add = [&](const std::string& name, const std::string& number, const char* hook) {
    suite.add(name, benchmark::kNanosecond, [&programs, number, hook](benchmark::State& state) {
      const Loop native{programs.calls(number, kCalls), {}, kCalls};
      Loop seen = native;
      if (hook != nullptr)
        seen = {programs.rewritten(native.argv), {std::string("SYSLOAD_HOOK=") + hook}, kCalls};
      compare(state, native, seen);
    });
  };
  add("missing/native", "1000", nullptr);
  for (const auto& [name, hook] : hooks) add(std::string("missing/") + name, "1000", hook);
  add("getppid/native", "110", nullptr);
  for (const auto& [name, hook] : hooks)
    if (std::string(name).find("answer") == std::string::npos)
      add(std::string("getppid/") + name, "110", hook);
}

void add_others(Suite& suite, const Programs& programs) {
  constexpr int kCalls = 20000;
  for (const char* kind : {"filter", "sigsys", "dispatch", "notify", "ptrace"})
    suite.add(std::string("getppid/other/") + kind, benchmark::kNanosecond,
              [&programs, kind](benchmark::State& state) {
                compare(state, {programs.mechanism("native", kCalls), {}, kCalls},
                        {programs.mechanism(kind, kCalls), {}, kCalls});
              });
  suite.add("open+close/files", benchmark::kNanosecond, [&programs](benchmark::State& state) {
    const Loop native{programs.mechanism("files", kCalls), {}, kCalls};
    compare(state, native,
            {programs.rewritten(native.argv), {"SYSLOAD_HOOK=files:output=/dev/null"}, kCalls});
  });
}

Words under_strace(const Words& argv) {
  Words words{"strace", "-f", "-qq", "-e", "trace=%file", "-o", "/dev/null"};
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

using Wrap = std::function<Words(const Words& argv)>;

void add_build(Suite& suite, const Programs& programs, const std::string& name, int alternations,
               const std::function<Words()>& build, const Wrap& wrap) {
  suite.add(name, benchmark::kMillisecond, [=, &programs](benchmark::State& state) {
    compare(state, alternations, build(), wrap(build()), programs.cache());
  });
}

void add_builds(Suite& suite, const Programs& programs) {
  const auto natively = [](const Words& argv) { return argv; };
  const auto under = [&programs](const std::string& hook) {
    return [&programs, hook](const Words& argv) { return programs.under_run(hook, argv); };
  };
  const auto tiny = [&](const std::string& name, const Wrap& wrap) {
    add_build(
        suite, programs, "build/tiny/" + name, kAlternations,
        [&programs] { return programs.build_tiny(); }, wrap);
  };
  const auto project = [&](const std::string& name, const Wrap& wrap) {
    add_build(
        suite, programs, "build/project/" + name, kProjectAlternations,
        [&programs] { return programs.build_project(); }, wrap);
  };
  tiny("native", natively);
  tiny("none", under("none"));
  for (const char* hook : {"files", "count", "trace"})
    tiny(hook, under(std::string(hook) + ":output=/dev/null"));
  tiny("other/strace", under_strace);
  project("native", natively);
  project("none", under("none"));
  project("files", under("files:output=/dev/null"));
  project("other/strace", under_strace);
}

}  // namespace

}  // namespace sysrewrite::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const sysrewrite::bench::Programs programs;
  sysrewrite::bench::Suite suite;
  sysrewrite::bench::add_calls(suite, programs);
  sysrewrite::bench::add_others(suite, programs);
  sysrewrite::bench::add_builds(suite, programs);
  return suite.run();
}
