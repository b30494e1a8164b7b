// What a system call costs, unpatched and patched.
//
// Each round of a case runs call_program as it was built and rewritten, in turn, and compares the
// two; the median over the rounds counts. `over` is the patched call's cost beyond the unpatched
// one. The case `unpatched` compares the program with itself: its `over` is the noise of the
// others, and should be near zero.
//
// The rewritten programs come from the product's command and are started by the kernel, as a user
// would start them: nothing of the product is linked into what is measured.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "bench/command.h"
#include "bench/comparison.h"
#include "bench/scratch.h"
#include "bench/suite.h"
#include "trampoline/rewritten_file.h"

namespace sysrewrite::bench {

namespace {

constexpr int kAlternations = 7;

// A way to treat the loop's site, and how to get it.
struct Patch {
  const char* name;
  const char* shape;  // the loop of call_program
  const char* tiers;  // for sysrewrite --tiers
  Tier tier;          // what the site then must be,
  uint8_t displaced;  // with how many instructions moved into its stub
  int calls;          // in a run: about 10 ms
};

constexpr Patch kPatches[] = {
    {"A", "constant", "ABCD", Tier::kInstruction, 1, 100000},
    {"B", "register", "ABCD", Tier::kSpringboard, 0, 100000},
    {"C", "register", "ACD", Tier::kWindow, 2, 100000},
    {"D", "register", "D", Tier::kTrap, 0, 1000},
};

struct Number {
  const char* name;
  const char* value;
};

constexpr Number kNumbers[] = {{"getppid", "110"}, {"missing", "1000"}};

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::byte> bytes;
  bytes.reserve(text.size());
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

// One that measures tier B although it says A is worse than none.
void check_tier(const std::string& path, const Patch& patch) {
  const std::vector<std::byte> bytes = read_file(path);
  const auto parsed = RewrittenFile::parse(bytes);
  if (parsed.status != TrailerStatus::kValid)
    throw std::runtime_error(path + " is no rewritten file");
  for (uint32_t i = 0; i < parsed.file.site_count(); ++i) {
    const SiteRecord site = parsed.file.site(i);
    if (site.tier == patch.tier && site.displaced == patch.displaced) return;
  }
  throw std::runtime_error(std::string("sysrewrite no longer gives the loop tier ") + patch.name);
}

class Programs {
 public:
  Programs() : sysrewrite_(sysrewrite_path()), sysload_(sysload_path()) {}

  std::string native() const { return BENCH_CALL_PROGRAM; }

  std::string rewritten(const std::string& input, const std::string& tiers) const {
    std::string output =
        scratch_.path(std::filesystem::path(input).filename().string() + "." + tiers);
    if (access(output.c_str(), F_OK) != 0)
      must_run({sysrewrite_, "-q", "--interp", sysload_, "--tiers", tiers, input, output});
    return output;
  }

  // `sysrewrite run`, and where it keeps its cache.
  std::vector<std::string> under_run(const std::vector<std::string>& argv) const {
    std::vector<std::string> words{sysrewrite_, "run", "--loader", sysload_, "--"};
    words.insert(words.end(), argv.begin(), argv.end());
    return words;
  }
  std::vector<std::string> cache() const {
    return {"XDG_CACHE_HOME=" + scratch_.path("cache"), "XDG_STATE_HOME=" + scratch_.path("state")};
  }

 private:
  std::string sysrewrite_;
  std::string sysload_;
  Scratch scratch_;  // behind what may end the process, and would leave the directory
};

// Nanoseconds per call.
double time_calls(const std::string& program, const Patch& patch, const Number& number,
                  const char* hook) {
  const std::vector<std::string> argv{program, patch.shape, number.value,
                                      std::to_string(patch.calls)};
  const Finished finished = must_run(argv, {std::string("SYSLOAD_HOOK=") + hook});
  return std::strtod(finished.out.c_str(), nullptr) / patch.calls;
}

void measure_calls(benchmark::State& state, const Programs& programs, const Patch& patch,
                   const Number& number, const char* hook) {
  std::string program = programs.native();
  if (hook != nullptr) {
    program = programs.rewritten(program, patch.tiers);
    check_tier(program, patch);
  }
  compare_loops(
      state, kAlternations, [&] { return time_calls(programs.native(), patch, number, "none"); },
      [&] { return time_calls(program, patch, number, hook == nullptr ? "none" : hook); });
}

// From exec to exit, of a program that does next to nothing.
void measure_start(benchmark::State& state, const Programs& programs,
                   const std::vector<std::string>& argv) {
  constexpr int kStarts = 41;
  std::vector<std::string> patched_argv = argv;
  patched_argv[0] = programs.rewritten(argv[0], "ABCD");
  compare_runs(
      state, kStarts, [&] { return must_run(argv); }, [&] { return must_run(patched_argv); });
}

// An installed program under `run`, all its files in the cache, against itself.
void measure_run(benchmark::State& state, const Programs& programs,
                 const std::vector<std::string>& argv) {
  constexpr int kStarts = 21;
  const std::vector<std::string> run_argv = programs.under_run(argv), cache = programs.cache();
  must_run(run_argv, cache);
  compare_runs(
      state, kStarts, [&] { return must_run(argv); }, [&] { return must_run(run_argv, cache); });
}

void add_cases(Suite& suite, const Programs& programs) {
  for (const Number& number : kNumbers) {
    const auto add = [&](const std::string& name, const Patch& patch, const char* hook) {
      suite.add(std::string(number.name) + "/" + name, benchmark::kNanosecond,
                [&programs, &patch, &number, hook](benchmark::State& state) {
                  measure_calls(state, programs, patch, number, hook);
                });
    };
    add("unpatched", kPatches[0], nullptr);
    for (const Patch& patch : kPatches) add(std::string("none/") + patch.name, patch, "none");
  }
  const auto add_start = [&](const std::string& name, const std::vector<std::string>& argv) {
    suite.add(name, benchmark::kMicrosecond,
              [&programs, argv](benchmark::State& state) { measure_start(state, programs, argv); });
  };
  add_start("start/static", {programs.native(), "constant", "1000", "1"});
  add_start("start/dynamic", {"/bin/true"});
  const auto add_run = [&](const std::string& name, const std::vector<std::string>& argv) {
    suite.add(name, benchmark::kMicrosecond,
              [&programs, argv](benchmark::State& state) { measure_run(state, programs, argv); });
  };
  add_run("start/run/true", {"/bin/true"});
  add_run("start/run/python", {"/usr/bin/python3", "-c", "pass"});
  add_run("start/run/node", {"/usr/bin/node", "-e", "0"});
}

}  // namespace

}  // namespace sysrewrite::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const sysrewrite::bench::Programs programs;
  sysrewrite::bench::stay_on_one_processor();
  sysrewrite::bench::Suite suite;
  sysrewrite::bench::add_cases(suite, programs);
  return suite.run();
}
