#include "cli/messages.h"

#include <cerrno>
#include <cstring>

#include "cli/arguments.h"
#include "cli/printable.h"
#include "cli/report_text.h"

namespace sysrewrite {

void print(std::FILE* stream, const std::string& text) {
  const std::string shown = printable_lines(text);
  std::fwrite(shown.data(), 1, shown.size(), stream);
}

void print_json(const std::string& json) {
  std::fwrite(json.data(), 1, json.size(), stdout);
}

int finish_output(int status) {
  const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (is_written) return status;
  print(stderr,
        std::string("sysrewrite: cannot write standard output: ") + std::strerror(errno) + "\n");
  return status != 0 ? status : static_cast<int>(ExitStatus::kError);
}

int fail(const std::string& file, const Error& error, bool json) {
  if (json) print_json(error_json(error, file));
  print(stderr, "sysrewrite: " + printable(file) + ": " + printable_line(error.message) + "\n");
  return static_cast<int>(ExitStatus::kError);
}

}  // namespace sysrewrite
