// The trace hook over calls that a test makes up, and the lines that it writes of them.
#ifndef SYSREWRITE_TESTS_HOOKS_TRACED_CALLS_H_
#define SYSREWRITE_TESTS_HOOKS_TRACED_CALLS_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "loader/hooks/hooks.h"
#include "tests/hooks/scripted_api.h"

namespace sysrewrite::test {

class Trace : public testing::Test {
 protected:
  static constexpr uint64_t kOnes = ~uint64_t{0};
  static constexpr auto kHere = static_cast<uint64_t>(AT_FDCWD);

  // A pointer as an argument.
  template <class T>
  static uint64_t at(T* pointer) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    return reinterpret_cast<uint64_t>(pointer);
  }
  // As the hook writes addresses.
  static std::string hex(uint64_t value);

  void start(const std::string& options = "") { api_.start(&sysload_hook_init_trace, options); }

  // What the hook says of the call, without the process and the blanks in front of the result.
  std::string traced(uint64_t number, const std::vector<uint64_t>& arguments, int64_t result,
                     const std::function<void()>& kernel = {});
  // The same, of what was emitted last.
  std::string line() const;

  // Why the hook does not start with these options; nothing if it does.
  std::string refusal(const std::string& options);

  ScriptedApi api_;
};

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_HOOKS_TRACED_CALLS_H_
