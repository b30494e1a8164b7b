// The language of policies: what is taken, and what is said of a mistake.
#include <gtest/gtest.h>

#include <memory>

#include "loader/hooks/deny_policy.h"
#include "loader/hooks/path_calls.h"
#include "tests/hooks/fake_api.h"

namespace sysrewrite::test {

namespace {

using deny::Policy;

class Parsed {
 public:
  explicit Parsed(const std::string& text) {
    const FakeApi fake;
    deny::Mistake mistake{};
    if (deny::parse_policy(&fake.api, text.data(), static_cast<uint32_t>(text.size()), *policy_,
                           mistake))
      said_ = "good";
    else
      said_ = std::to_string(mistake.line) + ":" + std::to_string(mistake.column) + ": found " +
              mistake.found + ", expected " + mistake.expected;
  }
  const std::string& said() const { return said_; }
  const Policy& policy() const { return *policy_; }

 private:
  std::unique_ptr<Policy> policy_ = std::make_unique<Policy>();
  std::string said_;
};

std::string said(const std::string& text) {
  return Parsed(text).said();
}

TEST(DenyPolicy, TakesEverythingThatItsPageShows) {
  const Parsed parsed(
      "# a comment\n"
      "default allow\n"
      "\n"
      "deny EPERM   ptrace, process_vm_readv   # another\n"
      "deny EACCES  openat path(1) under /etc writing\n"
      "deny ENOSYS  openat2\r\n"
      "\tkill reboot\n"
      "log connect int0 >= 3 arg2 & 0xff != 16\n"
      "allow unlinkat path under \"/tmp/a b\\\"c\"\n"
      "deny EIO read arg2 > 0x100000 answer == ENOENT\n"
      "deny ENOSPC * path like /data/**/*.log\n"
      "deny EPERM 435, mmap arg2 & PROT_WRITE|PROT_EXEC == PROT_WRITE | PROT_EXEC");
  EXPECT_EQ(parsed.said(), "good");
  EXPECT_EQ(parsed.policy().rule_count, 9U);
  EXPECT_EQ(parsed.policy().rules[0].line, 4U);
  EXPECT_EQ(parsed.policy().rules[0].error, 1);
  EXPECT_TRUE(parsed.policy().rules[0].is_about(101));
  EXPECT_TRUE(parsed.policy().rules[0].is_about(310));
  EXPECT_FALSE(parsed.policy().rules[0].is_about(311));
  EXPECT_STREQ(parsed.policy().texts + parsed.policy().conditions[4].text, "/tmp/a b\"c");
  EXPECT_TRUE(parsed.policy().rules[8].is_about(435));
}

TEST(DenyPolicy, MayBeEmpty) {
  EXPECT_EQ(said(""), "good");
  EXPECT_EQ(said("\n\n# nothing\n"), "good");
}

TEST(DenyPolicy, RefusesWhatIsNoAction) {
  EXPECT_EQ(said("default allow\nforbid openat\n"),
            "2:1: found 'forbid', expected allow, deny, kill, log or default");
  EXPECT_EQ(said("  =\n"), "1:3: found '=', expected allow, deny, kill, log or default");
  EXPECT_EQ(said("default maybe"), "1:9: found 'maybe', expected allow, deny, kill or log");
  EXPECT_EQ(said("default allow kill"), "1:15: found 'kill', expected the end of the line");
  EXPECT_EQ(said("default allow\ndefault kill"),
            "2:9: found 'kill', expected one default in a policy, and there was one");
}

TEST(DenyPolicy, RefusesErrorsThatThereAreNot) {
  EXPECT_EQ(said("deny openat\n"), "1:6: found 'openat', expected the name of an error, as EPERM");
  EXPECT_EQ(said("deny\n"),
            "1:5: found the end of the line, expected the name of an error, as EPERM");
  EXPECT_EQ(said("deny EWOULDBLOCK read\ndeny ENOTSUP read"), "good");
}

TEST(DenyPolicy, RefusesCallsThatThereAreNot) {
  EXPECT_EQ(said("allow opnat\n"), "1:7: found 'opnat', expected the name of a system call, or *");
  EXPECT_EQ(said("allow open, # more\n"),
            "1:13: found the end of the line, expected the name of a system call, or *");
  EXPECT_EQ(said("allow 1022\nallow 1023"),
            "2:7: found '1023', expected the name of a system call, or *");
  EXPECT_EQ(
      said("allow " + std::string(70, 'x')),
      "1:7: found '" + std::string(40, 'x') + "...', expected the name of a system call, or *");
  EXPECT_EQ(said("deny EPERM getpid, exit_group"),
            "1:20: found 'exit_group', expected a call that can do without happening");
}

TEST(DenyPolicy, RefusesConditionsThatThereAreNot) {
  EXPECT_EQ(said("log read arg6 == 1"),
            "1:10: found 'arg6', expected a condition (arg0 to arg5, int0 to int5, answer, path, "
            "writing), a comma, or the end of the line");
  EXPECT_EQ(said("log read arg0 = 1"), "1:15: found '=', expected ==, !=, <, <=, > or >=");
  EXPECT_EQ(said("log read arg0 =="),
            "1:17: found the end of the line, expected a number, or a constant as O_CREAT");
  EXPECT_EQ(said("log read arg0 == 0x"),
            "1:18: found '0x', expected a number, or a constant as O_CREAT");
  EXPECT_EQ(said("log read arg0 == 089"),
            "1:18: found '089', expected a number, or a constant as O_CREAT");
  EXPECT_EQ(said("log read arg0 == 18446744073709551615"), "good");
  EXPECT_EQ(said("log read arg0 == 18446744073709551616"),
            "1:18: found '18446744073709551616', expected a number, or a constant as O_CREAT");
  EXPECT_EQ(said("log read int0 == 4294967296"),
            "1:18: found '4294967296', expected a number of 32 bits");
  EXPECT_EQ(said("log read answer == ENOTHING"),
            "1:20: found 'ENOTHING', expected a number, or the name of an error");
}

TEST(DenyPolicy, RefusesConditionsThatNeverHold) {
  const std::string never = ", expected a value with which the condition can hold";
  EXPECT_EQ(said("log read arg1 < 0"), "1:17: found '0'" + never);
  EXPECT_EQ(said("log read arg1 > 0xffffffffffffffff"), "1:17: found '0xffffffffffffffff'" + never);
  EXPECT_EQ(said("log read\nlog read arg2 & 3 == 4"), "2:22: found '4'" + never);
  EXPECT_EQ(said("log read arg2 & 3 > 3"), "1:21: found '3'" + never);
  EXPECT_EQ(said("log read arg2 & 0 != 0"), "1:22: found '0'" + never);
  EXPECT_EQ(said("log read int2 & 7 < 0"), "1:21: found '0'" + never);
  EXPECT_EQ(said("log read int2 & 7 == -1"), "1:22: found '-1'" + never);
  EXPECT_EQ(said("log read int2 < -2147483648"), "1:17: found '-2147483648'" + never);
  EXPECT_EQ(said("log read answer & 4 == 4096"), "1:24: found '4096'" + never);
  EXPECT_EQ(said("log read answer < -9223372036854775808"),
            "1:19: found '-9223372036854775808'" + never);
  for (const char* good :
       {"arg1 < 1", "arg2 & 3 == 3", "arg2 & 3 > 2", "int2 < 0", "int2 & 0x80000000 < 0",
        "int2 == 0xffffffff", "int2 & 0xffff0000 == -65536", "answer < 0", "answer & 4 == 4",
        "arg0 == -1", "int0 == AT_FDCWD", "answer == ENOENT"})
    EXPECT_EQ(said(std::string("log read ") + good), "good");
}

TEST(DenyPolicy, RefusesConditionsThatAlwaysHold) {
  const std::string always = ", expected a value with which the condition can fail";
  EXPECT_EQ(said("log read arg1 >= 0"), "1:18: found '0'" + always);
  EXPECT_EQ(said("log read arg1 <= -1"), "1:18: found '-1'" + always);
  EXPECT_EQ(said("log read arg2 & 3 != 4"), "1:22: found '4'" + always);
  EXPECT_EQ(said("log read arg2 & 3 < 4"), "1:21: found '4'" + always);
  EXPECT_EQ(said("log read arg2 & 0 == 0"), "1:22: found '0'" + always);
  EXPECT_EQ(said("log read int2 & 7 > -1"), "1:21: found '-1'" + always);
  EXPECT_EQ(said("log read int2 >= -2147483648"), "1:18: found '-2147483648'" + always);
  EXPECT_EQ(said("log read int2 <= 2147483647"), "1:18: found '2147483647'" + always);
  EXPECT_EQ(said("log read answer & 4 <= 4"), "1:24: found '4'" + always);
}

TEST(DenyPolicy, ComparesIntsAsInts) {
  const std::string range = ", expected a number from -2147483648 to 2147483647";
  EXPECT_EQ(said("log read int0 < 4294967295"), "1:17: found '4294967295'" + range);
  EXPECT_EQ(said("log read int0 >= 0x80000000"), "1:18: found '0x80000000'" + range);
  EXPECT_EQ(said("log read int0 & 0xf0000000 != 0x80000000"), "good");
}

TEST(DenyPolicy, RefusesConditionsThatDoNotGoTogether) {
  const std::string others = ", expected a value that goes with the rule's other conditions";
  EXPECT_EQ(said("log read answer < 0 answer > 5"), "1:30: found '5'" + others);
  EXPECT_EQ(said("log read arg0 == 1 arg0 == 2"), "1:28: found '2'" + others);
  EXPECT_EQ(said("log read arg0 != 1 arg0 == 1"), "1:28: found '1'" + others);
  EXPECT_EQ(said("log read arg0 == 5 arg0 & 1 == 0"), "1:32: found '0'" + others);
  EXPECT_EQ(said("log read arg0 & 3 == 1 arg0 & 5 == 4"), "1:36: found '4'" + others);
  EXPECT_EQ(said("log read int0 > 3 path is /x"),
            "1:19: found 'path', expected calls that all take a path");
  EXPECT_EQ(said("log read int0 > 3 int0 < 4"), "1:26: found '4'" + others);
  for (const char* good : {"arg0 == 1 arg1 == 2", "arg0 > 3 arg0 < 5", "arg0 != 1 arg0 != 2",
                           "arg0 & 1 == 0 arg0 == 4", "int0 < 0 arg0 > 5",
                           "arg0 & 3 == 1 arg0 & 4 == 4", "answer >= 0 answer <= 0"})
    EXPECT_EQ(said(std::string("log read ") + good), "good");
  EXPECT_EQ(said("log read answer < 0\nlog read answer > 5"), "good");
}

TEST(DenyPolicy, RefusesPathsOfCallsWithout) {
  EXPECT_EQ(said("log read path is /x"), "1:10: found 'path', expected calls that all take a path");
  EXPECT_EQ(said("log openat path(0) is /x"),
            "1:17: found '0', expected an argument that is a path of every call named");
  EXPECT_EQ(said("log renameat2 path(3) is /x"), "good");
  EXPECT_EQ(said("log openat path(x) is /x"), "1:17: found 'x', expected an argument, 0 to 5");
  EXPECT_EQ(said("log openat path(1 is /x"), "1:19: found 'is', expected a closing bracket");
  EXPECT_EQ(said("log openat path in /x"), "1:17: found 'in', expected is, under or like");
  EXPECT_EQ(said("log openat path is x"), "1:20: found 'x', expected an absolute path");
  EXPECT_EQ(said("log openat path like x*"),
            "1:22: found 'x*', expected a pattern that begins with / or *");
  EXPECT_EQ(said("log openat path is"),
            "1:19: found the end of the line, expected an absolute path");
  EXPECT_EQ(said("log openat path is \"/x y"),
            "1:20: found '\"/x y', expected a closing quotation mark");
  EXPECT_EQ(said("log stat writing"),
            "1:10: found 'writing', expected only open, openat, openat2 and creat before writing");
}

TEST(DenyPolicy, RefusesNamesWithNul) {
  const std::string policy("deny EPERM stat\0xyz\n", 20);
  EXPECT_EQ(said(policy), "1:12: found 'stat?xyz', expected the name of a system call, or *");
}

// Those that the table of paths has, whichever become known to it.
TEST(DenyPolicy, TakesPathsOfEveryCallThatHasOne) {
  uint32_t with_names = 0;
  for (uint32_t i = 0; i < path_call_count(); ++i) {
    const PathCall& row = path_call_at(i);
    if (row.slot[0].form != PathForm::kString) continue;
    EXPECT_EQ(said("deny EPERM " + std::to_string(row.number) + " path under /a\n"), "good")
        << row.number;
    ++with_names;
  }
  EXPECT_GT(with_names, 70U);
  EXPECT_EQ(said("deny EPERM mount path(0) is /a\n"), "good");
}

TEST(DenyPolicy, AStarIsAboutTheCallsThatTheConditionSuits) {
  for (const char* text :
       {"deny EPERM * path under /x writing", "deny EPERM * writing path is /x"}) {
    const Parsed parsed(text);
    ASSERT_EQ(parsed.said(), "good");
    int count = 0;
    for (uint32_t i = 0; i < deny::kNumbers; ++i)
      count += parsed.policy().rules[0].is_about(i) ? 1 : 0;
    EXPECT_EQ(count, 4);  // open, openat, openat2, creat
  }
  EXPECT_FALSE(Parsed("kill *").policy().rules[0].is_about(60));
  EXPECT_TRUE(Parsed("log *").policy().rules[0].is_about(60));
  EXPECT_TRUE(Parsed("kill *").policy().rules[0].is_about(1023));
}

TEST(DenyPolicy, KnowsWhichRulesAreAboutANumber) {
  const Parsed parsed("log open\nlog read\nlog write, open\n");
  const deny::Range open = parsed.policy().range[2], read = parsed.policy().range[0],
                    close = parsed.policy().range[3];
  EXPECT_EQ(open.first, 0);
  EXPECT_EQ(open.end, 3);
  EXPECT_EQ(read.first, 1);
  EXPECT_EQ(read.end, 2);
  EXPECT_EQ(close.first, close.end);
}

TEST(DenyPolicy, HasRoomForSoManyRules) {
  std::string text;
  for (int i = 0; i < 256; ++i) text += "log read arg0 == 1 arg1 == 1 arg2 == 1 arg3 == 1\n";
  EXPECT_EQ(said(text), "good");
  EXPECT_EQ(said(text + "log read"), "257:1: found 'log', expected at most 256 rules");
  std::string wide = "log read";
  for (int i = 0; i < 1025; ++i) wide += " arg0==1";
  EXPECT_EQ(said(wide), "1:" + std::to_string(wide.size() - 6) +
                            ": found 'arg0', expected at most 1024 conditions");
  std::string paths;
  for (int i = 0; i < 64; ++i) paths += "log open path is /" + std::string(600, 'x') + "\n";
  EXPECT_EQ(said(paths).substr(0, 6), "55:18:");
  EXPECT_EQ(said("log open path is /" + std::string(1023, 'x')).substr(0, 6), "1:18: ");
}

TEST(DenyPolicy, AnswersWhateverTheBytesAre) {
  const std::string good = "deny EACCES openat path(1) under \"/e\\\"tc\" int0 & 3|4 != -1 # x\n";
  for (size_t at = 0; at < good.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      std::string text = good;
      text[at] = static_cast<char>(value);
      EXPECT_NE(said(text), "");
      EXPECT_NE(said(text.substr(0, at)), "");
    }
}

}  // namespace

}  // namespace sysrewrite::test
