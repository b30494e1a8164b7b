#include "bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/suite.h"

namespace sysrewrite::bench {

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

void compare_runs(benchmark::State& state, int runs, const Measurement& native,
                  const Measurement& seen) {
  std::vector<double> without, with;
  for (int i = 0; i < runs; ++i) {
    without.push_back(native());
    with.push_back(seen());
  }
  state.SetIterationTime(median(with));
  state.counters["over"] = (median(with) - median(without)) * 1e6;
  state.counters["ratio"] = median(with) / median(without);
}

}  // namespace sysrewrite::bench
