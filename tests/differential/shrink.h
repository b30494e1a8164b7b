// A failing case, made as small as it stays failing, and shown as assembly.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_SHRINK_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_SHRINK_H_

#include "tests/differential/runner.h"

namespace sysrewrite::differential {

struct Shrunk {
  Batch batch;       // that function alone where it fails alone, else with its neighbours
  size_t index = 0;  // of the function
  std::string differences;
};

// `index`: of a function of the batch that does not end the same. Leaves out instruction after
// instruction, as long as something still differs.
Shrunk shrink(const Batch& batch, size_t index, const std::string& differences);

// Before and after rewriting: the function, its windows and springboards, its stubs.
std::string listing(const Batch& batch, size_t index);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_SHRINK_H_
