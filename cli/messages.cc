#include "cli/messages.h"

#include "cli/arguments.h"
#include "cli/report_text.h"

namespace sysrewrite {

void print(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

int fail(const std::string& file, const Error& error, bool json) {
  if (json) print(stdout, error_json(error, file));
  print(stderr, "sysrewrite: " + file + ": " + error.message + "\n");
  return static_cast<int>(ExitStatus::kError);
}

}  // namespace sysrewrite
