#include "loader/hooks/trace_options.h"

#include <cstring>

#include "loader/hooks/trace_printer.h"
#include "loader/text.h"

namespace sysrewrite::trace {

namespace {

constexpr char kKnown[][13] = {"filter", "string-limit", "output", "time", "spent"};
constexpr uint64_t kLongestFilter = 4096;
constexpr int64_t kNotThere = -2;  // ENOENT
constexpr int64_t kTooLong = -36;  // ENAMETOOLONG

bool is_known(const char* key, uint64_t length) {
  for (const char* known : kKnown)
    if (is_word(key, length, known)) return true;
  return false;
}

// A key that nobody knows is a mistake, not a wish to be passed over.
void refuse_unknown_keys(sysload_hook* hook) {
  const char* options = hook->options;
  for (const char* at = options; *at != 0;) {
    const char* key = at;
    while (*at != 0 && *at != ':' && *at != '=') ++at;
    const auto length = static_cast<uint64_t>(at - key);
    if (!is_known(key, length)) {
      hook->api->fail(hook,
                      "options, position %u: found \"%.*s\", expected filter, string-limit, "
                      "output, time or spent",
                      static_cast<unsigned>(key - options) + 1, static_cast<int>(length), key);
    }
    while (*at != 0 && *at != ':') at += *at == '\\' && at[1] != 0 ? 2 : 1;
    if (*at == ':') ++at;
  }
}

bool has(const sysload_hook* hook, const char* key) {
  char value[8];
  return hook->api->option(hook, key, value, sizeof(value)) != kNotThere;
}

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
  refuse_unknown_keys(hook);
  read_filter(hook, options.calls);
  options.string_limit = read_limit(hook);
  options.time = has(hook, "time");
  options.spent = has(hook, "spent");
}

}  // namespace sysrewrite::trace
