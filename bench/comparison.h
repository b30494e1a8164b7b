// Two ways to do the same thing, measured in turn, so that what the machine does meanwhile happens
// to both.
#ifndef SYSREWRITE_BENCH_COMPARISON_H_
#define SYSREWRITE_BENCH_COMPARISON_H_

#include <benchmark/benchmark.h>

#include <functional>

namespace sysrewrite::bench {

// One measurement, in nanoseconds or seconds. May throw std::exception.
using Measurement = std::function<double()>;

// Nanoseconds of loops that print them: the fastest of each side, since what another process takes
// away comes in pieces longer than a run, and only ever adds. Sets the time to `seen`, and the
// counters `over` (nanoseconds) and `ratio`.
void compare_loops(benchmark::State& state, int runs, const Measurement& native,
                   const Measurement& seen);

// Seconds of whole runs: the median of each side. `over` is in microseconds.
void compare_runs(benchmark::State& state, int runs, const Measurement& native,
                  const Measurement& seen);

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_COMPARISON_H_
