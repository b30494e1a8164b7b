// All that a program could see of how a function ended, and how two such ends differ.
#ifndef SYSREWRITE_TESTS_DIFFERENTIAL_ENDING_H_
#define SYSREWRITE_TESTS_DIFFERENTIAL_ENDING_H_

#include <array>
#include <string>

#include "tests/differential/program.h"
#include "tests/differential/state.h"

namespace sysrewrite::differential {

// The signal that ended a function; signal 0: it came to its end.
struct Fault {
  int signal = 0, code = 0;
  uint64_t address = 0;  // si_addr
  uint64_t rip = 0;
  uint64_t error = 0, trap = 0;  // the processor's error code and trap number
};

using Memory = std::array<uint8_t, kDataSize>;

struct Ending {
  State state{};
  Fault fault;
  Memory data{}, stack{};
  uint32_t fuel = 0;
};

// One line for each thing that differs; empty where nothing does.
std::string describe_differences(const Ending& native, const Ending& patched);

}  // namespace sysrewrite::differential

#endif  // SYSREWRITE_TESTS_DIFFERENTIAL_ENDING_H_
