#include "trampoline/hook_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sysrewrite {
namespace {

// Each option, as it stands.
std::vector<std::string> split(const char* text) {
  std::vector<std::string> options;
  for (;;) {
    options.emplace_back(text, option_length(text));
    text += options.back().size();
    if (*text == 0) return options;
    ++text;
  }
}

std::string meant(const std::string& option) {
  std::string value;
  for (const char* at = option.c_str(); *at != 0;) value += take_option_byte(at);
  return value;
}

TEST(HookOptions, EndAtTheirColon) {
  EXPECT_EQ(split("a=1:b::c"), (std::vector<std::string>{"a=1", "b", "", "c"}));
  EXPECT_EQ(split(""), std::vector<std::string>{""});
  EXPECT_EQ(split("a:"), (std::vector<std::string>{"a", ""}));
}

TEST(HookOptions, KeepAColonBehindABackslash) {
  EXPECT_EQ(split("output=a\\:b:c"), (std::vector<std::string>{"output=a\\:b", "c"}));
  EXPECT_EQ(meant("output=a\\:b"), "output=a:b");
}

// Two backslashes are no escape: the second belongs to the colon.
TEST(HookOptions, LeaveOtherBackslashesAlone) {
  EXPECT_EQ(split("a\\\\:b"), std::vector<std::string>{"a\\\\:b"});
  EXPECT_EQ(meant("a\\\\:b"), "a\\:b");
  EXPECT_EQ(split("a\\b:c"), (std::vector<std::string>{"a\\b", "c"}));
  EXPECT_EQ(meant("a\\b"), "a\\b");
}

TEST(HookOptions, EndBehindALastBackslash) {
  EXPECT_EQ(split("a\\"), std::vector<std::string>{"a\\"});
  EXPECT_EQ(meant("a\\"), "a\\");
}

}  // namespace
}  // namespace sysrewrite
