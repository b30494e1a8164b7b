// The differential machine: random code around system calls, run unpatched and patched in the same
// process, and everything compared that a program can see. docs/design.md tells what it is for.
//
//     random_batch    functions from a seed                              generator.h
//     build           an ELF image of them, rewritten and verified       batch.h
//     compare         both run, from the same state, in a child          runner.h
//     shrink, listing what is left of a case that fails, as assembly     shrink.h
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string_view>

#include "tests/differential/coverage.h"
#include "tests/differential/shrink.h"

using namespace sysrewrite;
using namespace sysrewrite::differential;

namespace {

constexpr uint64_t kFunctionsInBatch = 128;
constexpr uint64_t kMostJobs = 64;
// From here on a run must have covered everything; a shorter one is somebody looking at a case.
constexpr uint64_t kCountThatCovers = 10000;

// As many as ./dev test runs, or ./dev test --full.
uint64_t default_count() {
  const char* full = std::getenv("SYSREWRITE_TEST_FULL");
  return full != nullptr && std::string_view(full) == "1" ? 2000000 : 100000;
}

struct Arguments {
  uint64_t count = default_count(), seed = 1, from = 0, jobs = 0;
  Damage damage = Damage::kNone;
};

constexpr const char* kUsage =
    "usage: differential [--count N] [--seed S] [--from CASE] [--jobs N] [--plant FAULT]\n"
    "  --count N      how many cases (100000, or 2000000 where SYSREWRITE_TEST_FULL=1)\n"
    "  --seed S       which ones (1)\n"
    "  --from CASE    the first of them (0)\n"
    "  --jobs N       how many at a time (as many as there are processors)\n"
    "  --plant FAULT  damage what was rewritten, to see it found: displacement, swap, return, "
    "rcx,\n"
    "                 entry, flags, redzone, vector, rounding; where there is AVX-512\n"
    "                 highvector, mask\n"
    "Exit status: 0 all agree, 1 one does not or something was never covered, 2 usage.\n";

std::optional<Damage> damage_named(std::string_view name) {
  for (size_t i = 1; i < static_cast<size_t>(Damage::kCount); ++i)
    if (name == name_of(static_cast<Damage>(i))) return static_cast<Damage>(i);
  return std::nullopt;
}

// False where the argument is not known or its value makes no sense.
bool take(Arguments& out, std::string_view name, const char* value) {
  if (name == "--plant") {
    const auto damage = damage_named(value);
    if (damage) out.damage = *damage;
    return damage.has_value();
  }
  uint64_t* const number = name == "--count"  ? &out.count
                           : name == "--seed" ? &out.seed
                           : name == "--from" ? &out.from
                           : name == "--jobs" ? &out.jobs
                                              : nullptr;
  if (number == nullptr || *value == '\0') return false;
  char* end = nullptr;
  *number = std::strtoull(value, &end, 0);
  return *end == '\0';
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments out;
  if (argc % 2 == 0) return std::nullopt;
  for (int i = 1; i + 1 < argc; i += 2)
    if (!take(out, argv[i], argv[i + 1])) return std::nullopt;
  if (out.count == 0) return std::nullopt;
  if (out.jobs == 0) out.jobs = static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
  out.jobs = std::min<uint64_t>(out.jobs, kMostJobs);
  return out;
}

// Shared between the workers: the first to fail stops the others.
struct Shared {
  bool failed;
  Coverage coverage[kMostJobs];
};

void report(const Arguments& arguments, const Batch& batch, size_t index,
            const std::string& differences) {
  const Shrunk shrunk = shrink(batch, index, differences);
  std::string out = fmt::format("FAIL: case {} of seed {}, callback: {}\n", batch.first + index,
                                arguments.seed, name_of(batch.callback));
  out += "Shrunk to:\n" + listing(shrunk.batch, shrunk.index) + shrunk.differences;
  out += fmt::format("Again: ./dev differential --seed {} --from {} --count 1", arguments.seed,
                     batch.first + index);
  if (batch.damage != Damage::kNone) out += fmt::format(" --plant {}", name_of(batch.damage));
  fmt::print("{}\n", out);
  std::fflush(stdout);
}

// False where a case failed.
bool run_batch(const Arguments& arguments, uint64_t number, Coverage& coverage) {
  Batch batch = random_batch(arguments.seed, number, kFunctionsInBatch);
  batch.damage = arguments.damage;
  const auto built = build(batch);
  if (const auto* problem = std::get_if<std::string>(&built)) {
    fmt::print("FAIL: cases {} to {} of seed {}: {}\n", batch.first,
               batch.first + kFunctionsInBatch - 1, arguments.seed, *problem);
    std::fflush(stdout);
    return false;
  }
  const auto& image = std::get<Image>(built);
  const Comparison comparison = compare(batch, image);
  if (!comparison.agree) {
    report(arguments, batch, comparison.index, comparison.differences);
    return false;
  }
  coverage.add(coverage_of(batch, image, comparison));
  return true;
}

void work(const Arguments& arguments, uint64_t worker, Shared& shared) {
  const uint64_t first = arguments.from / kFunctionsInBatch;
  const uint64_t last = (arguments.from + arguments.count - 1) / kFunctionsInBatch;
  for (uint64_t i = first + worker; i <= last && !shared.failed; i += arguments.jobs)
    if (!run_batch(arguments, i * kFunctionsInBatch, shared.coverage[worker])) shared.failed = true;
}

bool run_workers(const Arguments& arguments, Shared& shared) {
  for (uint64_t worker = 0; worker < arguments.jobs; ++worker) {
    const pid_t child = fork();
    if (child < 0) std::abort();
    if (child > 0) continue;
    work(arguments, worker, shared);
    _exit(0);
  }
  bool good = true;
  for (uint64_t worker = 0; worker < arguments.jobs; ++worker) {
    int status = 0;
    if (wait(&status) < 0 || status != 0) good = false;
  }
  if (!good) fmt::print("FAIL: a worker did not come to its end\n");
  return good && !shared.failed;
}

// The exit status.
int run(const Arguments& arguments) {
  void* const memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  auto& shared = *new (memory) Shared{};
  if (!run_workers(arguments, shared)) return 1;
  Coverage total;
  for (const Coverage& part : shared.coverage) total.add(part);
  fmt::print("{}", describe(total));
  const std::string never = missing(total);
  if (arguments.count < kCountThatCovers || never.empty()) return 0;
  fmt::print("FAIL: never covered: {}\n", never);
  return 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto arguments = parse(argc, argv);
  if (arguments) return run(*arguments);
  std::fputs(kUsage, stderr);
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "differential: %s\n", error.what());
  return 1;
}
