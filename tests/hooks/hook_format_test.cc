#include "loader/engine/hook_format.h"

#include <gtest/gtest.h>

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

// Formatting for hooks does what the printf of libc does, in the part of it that there is.

namespace sysrewrite {
namespace {

uint64_t format_into(char* into, uint64_t size, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const uint64_t length = format_text(into, size, format, arguments);
  va_end(arguments);
  return length;
}

// Both at several sizes: what is cut, and what would not have been.
template <typename... Arguments>
void expect_as_printf(const char* format, Arguments... arguments) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{2}, size_t{7}, size_t{200}}) {
    char expected[256], found[256];
    std::memset(expected, '#', sizeof(expected));
    std::memset(found, '#', sizeof(found));
    const int length = std::snprintf(expected, size, format, arguments...);
    EXPECT_EQ(format_into(found, size, format, arguments...), static_cast<uint64_t>(length))
        << format;
    EXPECT_EQ(std::string(found, sizeof(found)), std::string(expected, sizeof(expected)))
        << format << " into " << size;
  }
}

TEST(HookFormat, WritesNumbersAsPrintf) {
  for (const int value : {0, 1, -1, 9, 10, 12345, -12345, INT_MAX, INT_MIN}) {
    for (const char* format : {"%d", "%i", "[%6d]", "[%-6d]", "[%06d]", "[%.4d]", "[%12.7d]"})
      expect_as_printf(format, value);
    for (const char* format : {"%u", "%x", "%o", "%#x", "%#o", "[%10x]", "[%-10o]", "[%08x]"})
      expect_as_printf(format, static_cast<unsigned>(value));
  }
  for (const int64_t value : {INT64_MIN, INT64_MAX, int64_t{-1}, int64_t{0}})
    for (const char* format : {"%ld", "%lld", "[%24ld]"}) expect_as_printf(format, value);
  for (const uint64_t value : {uint64_t{0}, UINT64_MAX, uint64_t{1} << 32})
    for (const char* format : {"%lu", "%lx", "%#lx", "%zu", "%llo"})
      expect_as_printf(format, value);
}

TEST(HookFormat, WritesTextAsPrintf) {
  for (const char* format : {"%s", "[%8s]", "[%-8s]", "[%.3s]", "[%8.3s]", "%%%s%%"})
    for (const char* text : {"", "a", "hello", "a longer text than that"})
      expect_as_printf(format, text);
  expect_as_printf("%.*s|", 3, "hello");
  expect_as_printf("%.*s|", -1, "hello");
  expect_as_printf("%*d|", 7, 42);
  expect_as_printf("%c%c", 'a', 'b');
  expect_as_printf("%s is %d of %s (%lu)", "this", 7, "those", 12UL);
  expect_as_printf("no conversion", 0);  // what is too much is not read
}

TEST(HookFormat, ReadsNoTextBeyondItsPrecision) {
  const char unended[3] = {'a', 'b', 'c'};
  char found[16];
  EXPECT_EQ(format_into(found, sizeof(found), "%.*s", 3, unended), 3U);
  EXPECT_STREQ(found, "abc");
}

TEST(HookFormat, NamesWhatIsNoText) {
  char found[16];
  format_into(found, sizeof(found), "%s", nullptr);
  EXPECT_STREQ(found, "(null)");
}

}  // namespace
}  // namespace sysrewrite
