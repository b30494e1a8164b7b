#include "bench/suite.h"

#include <algorithm>
#include <cstdio>
#include <exception>

namespace sysrewrite::bench {

namespace {

constexpr int kRounds = 7;

// One row for each case. Google Benchmark's own table has one for each statistic, with a column of
// processor time that says nothing here: the work is done by child processes.
class TableReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override {
    PrintBasicContext(&GetErrorStream(), context);
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    const Run* middle = find(runs, "median");
    const Run* spread = find(runs, "stddev");
    if (middle == nullptr || spread == nullptr) return;  // failed, and said so
    std::printf("%-28s %9.2f +-%-7.2f %s", middle->run_name.function_name.c_str(),
                middle->GetAdjustedRealTime(), spread->GetAdjustedRealTime(),
                benchmark::GetTimeUnitString(middle->time_unit));
    for (const auto& [name, counter] : middle->counters)
      std::printf("  %s %.2f +-%.2f", name.c_str(), counter.value, spread->counters.at(name).value);
    std::printf("\n");
    std::fflush(stdout);
  }

 private:
  static const Run* find(const std::vector<Run>& runs, const std::string& aggregate) {
    for (const Run& run : runs)
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name == aggregate) return &run;
    return nullptr;
  }
};

}  // namespace

void Suite::add(const std::string& name, benchmark::TimeUnit unit, Round round) {
  const auto measure = [this, name, round = std::move(round)](benchmark::State& state) {
    for ([[maybe_unused]] auto _ : state) {
      try {
        round(state);
      } catch (const std::exception& error) {
        failed_ = true;
        std::fprintf(stderr, "bench: %s: %s\n", name.c_str(), error.what());
        state.SkipWithError(error.what());
        return;
      }
    }
  };
  benchmark::RegisterBenchmark(name.c_str(), measure)
      ->UseManualTime()
      ->Unit(unit)
      ->Iterations(1)
      ->Repetitions(kRounds);
}

int Suite::run() {
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  return failed_ ? 1 : 0;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace sysrewrite::bench
