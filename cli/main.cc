#include "cli/arguments.h"
#include "cli/messages.h"

namespace sysrewrite {

namespace {

int execute(const Message& message) {
  print(message.status == ExitStatus::kDone ? stdout : stderr, message.text);
  return static_cast<int>(message.status);
}

}  // namespace

}  // namespace sysrewrite

// A variant that was just made has a value, without which visit() would throw.
// NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  using namespace sysrewrite;
  return finish_output(std::visit([](const auto& command) { return execute(command); },
                                  parse_arguments(argc, argv)));
}
