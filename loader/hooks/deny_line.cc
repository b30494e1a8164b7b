#include "loader/hooks/deny_line.h"

#include "loader/hooks/deny_names.h"
#include "loader/hooks/deny_policy.h"

namespace sysrewrite::deny {

CallText::CallText(const sysload_api* api, const sysload_call& call) {
  text_[0] = 0;
  const auto number = static_cast<uint32_t>(call.number);
  const char* name = api->call_name(number);
  char unnamed[32];
  if (name == nullptr) api->format(unnamed, sizeof(unnamed), "syscall_%u", number);
  put(name != nullptr ? name : unnamed);
  put("(");
  const PathArguments paths = paths_of(call);
  uint32_t count = 6;
  while (count != 0 && call.argument[count - 1] == 0) --count;
  for (uint32_t i = 0; i < count; ++i) {
    if (i != 0) put(", ");
    bool is_path = false;
    for (uint32_t p = 0; p < paths.count; ++p) is_path = is_path || paths.at[p]->name == i;
    if (is_path) {
      put_string(api, call.argument[i]);
    } else {
      put_number(api, call.argument[i]);
    }
  }
  put(")");
}

void CallText::put(const char* words) {
  for (; *words != 0 && used_ + 1 < sizeof(text_); ++words) text_[used_++] = *words;
  text_[used_] = 0;
}

// Small ones, and negative ones as errors and AT_FDCWD are, in decimal.
void CallText::put_number(const sysload_api* api, uint64_t number) {
  constexpr int64_t kSmall = 4096;
  char digits[32];
  const auto whole = static_cast<int64_t>(number);
  const auto half = static_cast<int32_t>(number);
  if (whole > -kSmall && whole < kSmall) {
    api->format(digits, sizeof(digits), "%ld", static_cast<long>(whole));
  } else if (number >> 32 == 0 && half < 0 && half > -kSmall) {
    api->format(digits, sizeof(digits), "%d", half);
  } else {
    api->format(digits, sizeof(digits), "0x%lx", static_cast<unsigned long>(number));
  }
  put(digits);
}

// A line stays one, whatever a program calls its files.
void CallText::put_string(const sysload_api* api, uint64_t address) {
  constexpr uint64_t kMostShown = 200;
  constexpr int64_t kTooLong = -36;
  char words[kMostShown + 1];
  const int64_t length = api->read_string(words, address, sizeof(words));
  if (length < 0 && length != kTooLong) return put_number(api, address);
  put("\"");
  for (const char* at = words; *at != 0; ++at) {
    const auto byte = static_cast<unsigned char>(*at);
    char shown[8] = {*at, 0};
    if (byte < ' ' || byte == 0x7f || byte == '"' || byte == '\\')
      api->format(shown, sizeof(shown), "\\x%02x", static_cast<unsigned>(byte));
    put(shown);
  }
  put(length < 0 ? "\"..." : "\"");
}

}  // namespace sysrewrite::deny
