#include "loader/hooks/trace_options.h"

#include <cstring>

#include "loader/hooks/option_list.h"
#include "loader/hooks/trace_printer.h"

namespace sysrewrite::trace {

namespace {

constexpr KnownOption kOptions[] = {
    {"filter", true}, {"string-limit", true}, {"time", false}, {"spent", false}};
constexpr uint64_t kLongestFilter = 4096;
constexpr int64_t kNotThere = -2;  // ENOENT
constexpr int64_t kTooLong = -36;  // ENAMETOOLONG

void read_filter(sysload_hook* hook, CallSet& calls) {
  char expression[kLongestFilter];
  const int64_t length = hook->api->option(hook, "filter", expression, sizeof(expression));
  if (length == kNotThere) {
    memset(calls.word, 0xff, sizeof(calls.word));
    return;
  }
  if (length < 0) {
    hook->api->fail(hook, "filter: it is longer than %u characters",
                    static_cast<unsigned>(kLongestFilter - 1));
  }
  FilterMistake mistake{};
  if (parse_filter(*hook->api, expression, calls, mistake)) return;
  const bool has_nearest = mistake.nearest[0] != 0;
  hook->api->fail(hook, "filter, position %u: found \"%.*s\", expected %s%s%s%s",
                  static_cast<unsigned>(mistake.position), static_cast<int>(mistake.length),
                  mistake.item, mistake.expected, has_nearest ? "; did you mean \"" : "",
                  mistake.nearest, has_nearest ? "\"?" : "");
}

uint32_t read_limit(sysload_hook* hook) {
  char text[16];
  const int64_t length = hook->api->option(hook, "string-limit", text, sizeof(text));
  if (length == kNotThere) return kDefaultStringLimit;
  uint32_t limit = 0;
  bool good = length > 0;
  for (int64_t i = 0; good && i < length; ++i) {
    good = text[i] >= '0' && text[i] <= '9' && limit <= kMostStringLimit;
    limit = limit * 10 + static_cast<uint32_t>(text[i] - '0');
  }
  if (!good || limit > kMostStringLimit) {
    hook->api->fail(hook, "string-limit: found \"%s\", expected a number of bytes from 0 to %u",
                    length == kTooLong ? "something longer" : text, kMostStringLimit);
  }
  return limit;
}

}  // namespace

void read_options(sysload_hook* hook, Options& options) {
  check_options(hook, kOptions, "filter=, string-limit=, time, spent or output=");
  read_filter(hook, options.calls);
  options.string_limit = read_limit(hook);
  options.time = has_option(*hook, "time");
  options.spent = has_option(*hook, "spent");
}

}  // namespace sysrewrite::trace
