#include "bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/suite.h"

namespace sysrewrite::bench {

namespace {

struct Times {
  std::vector<double> wall, cpu;  // seconds

  void add(const Finished& run) {
    wall.push_back(run.seconds);
    cpu.push_back(run.cpu_seconds);
  }
};

}  // namespace

void compare_loops(benchmark::State& state, int runs, const Measurement& native,
                   const Measurement& seen) {
  double without = HUGE_VAL, with = HUGE_VAL;
  for (int i = 0; i < runs; ++i) {
    without = std::min(without, native());
    with = std::min(with, seen());
  }
  state.SetIterationTime(with * 1e-9);
  state.counters["over"] = with - without;
  state.counters["ratio"] = with / without;
}

void compare_runs(benchmark::State& state, int runs, const MeasuredRun& native,
                  const MeasuredRun& seen) {
  Times without, with;
  for (int i = 0; i < runs; ++i) {
    without.add(native());
    with.add(seen());
  }
  state.SetIterationTime(median(with.wall));
  state.counters["over"] = (median(with.wall) - median(without.wall)) * 1e6;
  state.counters["ratio"] = median(with.wall) / median(without.wall);
  state.counters["cpu"] = median(with.cpu) / median(without.cpu);
}

}  // namespace sysrewrite::bench
