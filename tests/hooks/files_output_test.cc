// What the `files` hook writes: its formats, and the options that choose them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <string>

#include "tests/hooks/hosted_files.h"

namespace sysrewrite::test {

namespace {

TEST_F(Files, EscapesInText) {
  open_file("a\nb\t\\\x01\xff", O_RDONLY);
  EXPECT_EQ(hook_.take_output(), at("missing", "a\\nb\\t\\\\\\x01\xff\n"));
}

TEST_F(Files, WritesJson) {
  HostedHook hook(sysload_hook_init_files, "format=json");
  hook.call(SYS_open, "a\"\n\xc3\xa9\xff\xed\xa0\x80", O_RDONLY);
  EXPECT_EQ(hook.take_output(), "{\"kind\":\"missing\",\"path\":\"" +
                                    tree_.path("a\\\"\\u000a\xc3\xa9\\udcff\\udced\\udca0\\udc80") +
                                    "\"}\n");
  hook.pretend(-EACCES, SYS_open, "secret", O_RDONLY);
  EXPECT_EQ(hook.take_output(), "{\"kind\":\"failed\",\"path\":\"" + tree_.path("secret") +
                                    "\",\"error\":\"EACCES\"}\n");
  hook.pretend(5, SYS_io_uring_setup, 1, nullptr);
  EXPECT_EQ(hook.take_output(),
            "{\"kind\":\"incomplete\",\"path\":\"io_uring: what is done through a ring is not "
            "seen\"}\n");
}

TEST_F(Files, EndsRecordsWithNul) {
  HostedHook hook(sysload_hook_init_files, "output=/dev/null:format=null");
  hook.call(SYS_open, "a\nb", O_RDONLY);
  EXPECT_EQ(hook.take_output(), at("missing", "a\nb") + std::string(1, '\0'));
}

TEST_F(Files, WritesLongPathsWhole) {
  std::string name;
  for (int i = 0; i < 15; ++i) name += std::string(250, '\x01') + "/";
  name += "end";
  open_file(name.c_str(), O_RDONLY);
  EXPECT_EQ(hook_.take_output().size(), 8 + tree_.root().size() + 1 + 15UL * 1001 + 3 + 1);
}

std::string refusal(const char* options) {
  try {
    HostedHook hook(sysload_hook_init_files, options);
  } catch (const HookFailed& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(FilesOptions, AreRefusedWithTheirPlace) {
  EXPECT_EQ(refusal(""), "accepted");
  EXPECT_EQ(refusal("output=/a\\:b:format=text"), "accepted");
  EXPECT_EQ(refusal("format=xml"),
            "option at column 8: found format=xml, expected text, json or null");
  EXPECT_EQ(
      refusal("output=x:fromat=json"),
      "option at column 10: found fromat=json, expected format=text|json|null or output=PATH");
  EXPECT_EQ(refusal("format="), "option at column 8: found format=, expected text, json or null");
  EXPECT_EQ(refusal("format"), "option at column 1: found format, expected format=VALUE");
  EXPECT_EQ(refusal("output"), "option at column 1: found output, expected output=VALUE");
  EXPECT_EQ(refusal("format=json:format=json"),
            "option at column 13: found format=json, expected format once");
  EXPECT_EQ(refusal("output=a:format=text:output=b"),
            "option at column 22: found output=b, expected output once");
}

}  // namespace

}  // namespace sysrewrite::test
