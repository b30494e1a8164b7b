#include "loader/hooks/trace_table.h"

#include <cstddef>

namespace sysrewrite::trace {

namespace {

using enum Kind;
using enum Result;

// A value in braces that is left out is None.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
constexpr CallRow kCalls[] = {
#include "loader/hooks/trace_calls.inc"
};
#pragma GCC diagnostic pop

constexpr size_t kCallCount = sizeof(kCalls) / sizeof(kCalls[0]);

constexpr bool numbers_ascend() {
  for (size_t i = 1; i < kCallCount; ++i)
    if (kCalls[i - 1].number >= kCalls[i].number) return false;
  return true;
}
static_assert(numbers_ascend());

}  // namespace

const CallRow* find_call(uint64_t number) {
  size_t from = 0, to = kCallCount;
  while (from < to) {
    const size_t middle = (from + to) / 2;
    if (kCalls[middle].number < number) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from < kCallCount && kCalls[from].number == number ? &kCalls[from] : nullptr;
}

namespace {

void print_styled(Line& line, NameStyle style, Names names, uint64_t value) {
  const bool is_wide = style == NameStyle::kWideFlags || style == NameStyle::kWideValue;
  if (!is_wide) value = static_cast<uint32_t>(value);
  if (style == NameStyle::kValue || style == NameStyle::kWideValue) {
    names.value(line, value);
  } else {
    names.flags(line, value);
  }
}

}  // namespace

void print_named(Line& line, Kind kind, uint64_t value) {
  switch (kind) {
#define NAMES(name, style, ...) \
  case Kind::name:              \
    return print_styled(line, NameStyle::style, Names(kNamesOf##name), value);
#include "loader/hooks/trace_names.inc"
#undef NAMES
    default:
      line.hex(value);
  }
}

bool is_named(Kind kind, uint64_t value) {
  switch (kind) {
#define NAMES(name, ...) \
  case Kind::name:       \
    return Names(kNamesOf##name).has(value);
#include "loader/hooks/trace_names.inc"
#undef NAMES
    default:
      return false;
  }
}

}  // namespace sysrewrite::trace
