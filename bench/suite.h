// Benchmark cases as this project's are: each round takes one measured time, rounds are repeated,
// the median counts.
#ifndef SYSREWRITE_BENCH_SUITE_H_
#define SYSREWRITE_BENCH_SUITE_H_

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

namespace sysrewrite::bench {

// One measurement: calls state.SetIterationTime() and sets counters. May throw std::exception.
using Round = std::function<void(benchmark::State&)>;

class Suite {
 public:
  Suite() = default;
  Suite(const Suite&) = delete;  // its cases refer to it
  Suite& operator=(const Suite&) = delete;

  void add(const std::string& name, benchmark::TimeUnit unit, Round round);

  // Runs the cases and prints a table: the median over the rounds and the standard deviation, for
  // the time and each counter. --benchmark_out=FILE gets all that Google Benchmark computes.
  // Returns the process's exit status: 1 where a round failed, which never goes unsaid.
  int run();

 private:
  bool failed_ = false;
};

// The upper median of at least one value.
double median(std::vector<double> values);

}  // namespace sysrewrite::bench

#endif  // SYSREWRITE_BENCH_SUITE_H_
