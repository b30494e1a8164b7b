// Two ways to do the same thing, measured in turn, so that what the machine does meanwhile happens
// to both.
#ifndef SYSREWRITE_BENCH_COMPARISON_H_
#define SYSREWRITE_BENCH_COMPARISON_H_

#include <benchmark/benchmark.h>

#include <functional>

#include "bench/command.h"

namespace sysrewrite::bench {

// Nanoseconds. May throw std::exception.
using Measurement = std::function<double()>;

// A process from its start to its end. May throw std::exception.
using MeasuredRun = std::function<Finished()>;

// Nanoseconds of loops that print them: the fastest of each side, since what another process takes
// away comes in pieces longer than a run, and only ever adds. Sets the time to `seen`, and the
// counters `over` (nanoseconds) and `ratio`.
void compare_loops(benchmark::State& state, int runs, const Measurement& native,
                   const Measurement& seen);

// Whole runs, by the wall clock: the median of each side. `over` is in microseconds, and `cpu` the
// ratio of processor times, from which what other processes do to a run of some seconds is nearly
// gone.
void compare_runs(benchmark::State& state, int runs, const MeasuredRun& native,
                  const MeasuredRun& seen);

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_COMPARISON_H_
