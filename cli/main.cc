#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
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

// What is mapped of an input is not there any more. `run` reads its inputs instead.
extern "C" void end_by_bus_error(int) {
  constexpr char kText[] = "sysrewrite: an input became shorter while it was read; try again\n";
  _exit(write(STDERR_FILENO, kText, sizeof(kText) - 1) > 0 ? 1 : 2);
}

int execute_any(const Command& command) {
  if (!std::holds_alternative<RunCommand>(command)) std::signal(SIGBUS, end_by_bus_error);
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
