// Runs every function of a batch unpatched and then patched, from the same registers, flags,
// vectors, data and stack, at the same addresses of one process, and compares how they end.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_RUNNER_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_RUNNER_H_

#include "tests/differential/batch.h"

namespace sysrewrite::differential {

struct Comparison {
  bool agree = false;
  size_t index = 0;         // of the first function that differs
  std::string differences;  // a line each
  uint64_t calls = 0;       // that reached the callback
  uint64_t traps = 0;       // that met poison and were served
  uint64_t signals = 0;     // functions that a signal ended, the same one both times
  uint64_t excused = 0;     // that differ, but touch their own code: see tracer.h
};

// In a child, so that nothing that a wrong patch does reaches the machine.
Comparison compare(const Batch& batch, const Image& image);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_RUNNER_H_
