#include <fmt/format.h>

#include <new>
#include <system_error>

#include "cli/arguments.h"
#include "cli/messages.h"

namespace sysrewrite {

namespace {

int execute(const Message& message) {
  print(message.status == ExitStatus::kDone ? stdout : stderr, message.text);
  return static_cast<int>(message.status);
}

int execute_any(const Command& command) {
  try {
    return std::visit([](const auto& chosen) { return execute(chosen); }, command);
  } catch (const std::bad_alloc&) {
    print(stderr, "sysrewrite: there is not enough memory (see ulimit -v)\n");
  } catch (const std::system_error& error) {
    print(stderr, fmt::format("sysrewrite: {}\n", error.what()));
  }
  return static_cast<int>(ExitStatus::kError);
}

}  // namespace

}  // namespace sysrewrite

// A variant that was just made has a value, without which visit() would throw.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  using namespace sysrewrite;
  return finish_output(execute_any(parse_arguments(argc, argv)));
}
