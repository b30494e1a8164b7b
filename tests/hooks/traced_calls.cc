#include "tests/hooks/traced_calls.h"

#include <cstdio>

namespace sysrewrite::test {

std::string Trace::hex(uint64_t value) {
  char text[24];
  snprintf(text, sizeof(text), "%#lx", value);
  return text;
}

std::string Trace::traced(uint64_t number, const std::vector<uint64_t>& arguments, int64_t result,
                          const std::function<void()>& kernel) {
  if (api_.hook.entry == nullptr) start();
  api_.output.clear();
  api_.make_call(number, arguments, result, kernel);
  return line();
}

std::string Trace::line() const {
  std::string text = api_.output;
  if (text.rfind("1234  ", 0) != 0) return "no process: " + text;
  if (text.back() != '\n') return "no end: " + text;
  text = text.substr(6, text.size() - 7);
  const size_t result = text.rfind("= ");
  size_t blanks = result;
  while (blanks > 0 && text[blanks - 1] == ' ') --blanks;
  if (result != std::string::npos) text.replace(blanks, result - blanks, " ");
  return text;
}

std::string Trace::refusal(const std::string& options) {
  try {
    start(options);
  } catch (const HookFailure& failure) {
    return failure.what();
  }
  return "";
}

}  // namespace sysrewrite::test
