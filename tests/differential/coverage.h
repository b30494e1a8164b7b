// What a run has put to the test, so that a machine that went blind in one eye says so.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_COVERAGE_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_COVERAGE_H_

#include <string>

#include "tests/differential/runner.h"

namespace sysrewrite::differential {

// Plain counts: workers share theirs with their parent.
struct Coverage {
  uint64_t cases = 0;
  uint64_t tiers[5] = {};                                     // sites: A, B, C, D, native
  uint64_t uncertain = 0;                                     // pairs left alone
  uint64_t classes[static_cast<size_t>(Class::kCount)] = {};  // displaced instructions
  uint64_t operands[static_cast<size_t>(Operand::kCount)] = {};
  uint64_t behind = 0;  // of them: behind the call
  uint64_t calls = 0, traps = 0, signals = 0, excused = 0;

  void add(const Coverage& other);
};

Coverage coverage_of(const Batch& batch, const Image& image, const Comparison& comparison);

// The counts, for people.
std::string describe(const Coverage& coverage);

// What was never covered, or nothing.
std::string missing(const Coverage& coverage);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_COVERAGE_H_
