// The hook `deny`, as sysload calls it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "loader/hooks/hooks.h"
#include "tests/hooks/fake_api.h"

namespace sysrewrite::test {

namespace {

uint64_t word(const void* object) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(object);
}

class Deny : public testing::Test {
 public:
  Deny() : file_(std::filesystem::temp_directory_path() / ("deny_" + std::to_string(getpid()))) {}
  ~Deny() override { std::filesystem::remove(file_); }

 protected:
  void start(const std::string& policy, const std::string& more = "") {
    std::ofstream(file_) << policy;
    fake_.shared.clear();
    hook_ = &fake_.hook("policy=" + file_.string() + more);
    EXPECT_EQ(sysload_hook_init_deny(hook_), 0);
  }

  bool wants_entry(uint64_t number) const {
    return (hook_->entry_interest[number / 64] >> number % 64 & 1) != 0;
  }
  bool wants_exit(uint64_t number) const {
    return (hook_->exit_interest[number / 64] >> number % 64 & 1) != 0;
  }

  // As sysload does: what the program sees where the kernel answers `kernel`; "passed" without one.
  static constexpr int64_t kPassed = 4242;
  int64_t made(uint64_t number, std::initializer_list<uint64_t> arguments,
               int64_t kernel = kPassed) {
    sysload_thread thread{};
    sysload_call call{};
    call.number = number;
    std::copy(arguments.begin(), arguments.end(), call.argument);
    if (wants_entry(number) && hook_->entry(hook_, &thread, &call) == SYSLOAD_ANSWER)
      return call.result;
    call.result = kernel;
    if (wants_exit(number)) hook_->exit(hook_, &thread, &call);
    return call.result;
  }
  int64_t opened(const char* path, uint64_t flags = O_RDONLY, int64_t kernel = kPassed) {
    return made(SYS_openat, {static_cast<uint64_t>(AT_FDCWD), word(path), flags}, kernel);
  }
  // What was printed since, without the process's number and the file's name.
  std::string printed() {
    std::string text = std::move(fake_.printed);
    fake_.printed.clear();
    const auto without = [&text](const std::string& part, const std::string& instead) {
      for (size_t at = 0; (at = text.find(part, at)) != std::string::npos;)
        text.replace(at, part.size(), instead);
    };
    without(file_.string(), "P");
    without(std::to_string(getpid()), "PID");
    return text;
  }
  std::string failure(const std::string& options) {
    try {
      sysload_hook_init_deny(&fake_.hook(options));
    } catch (const HookFailed& failed) {
      return failed.what();
    }
    return "it was taken";
  }

  std::filesystem::path file_;
  FakeApi fake_;
  sysload_hook* hook_ = nullptr;
};

TEST_F(Deny, WantsOnlyTheCallsThatItsRulesAreAbout) {
  start("deny EPERM ptrace\nlog read answer < 0\n");
  EXPECT_TRUE(wants_entry(SYS_ptrace));
  EXPECT_FALSE(wants_exit(SYS_ptrace));
  EXPECT_TRUE(wants_entry(SYS_read));
  EXPECT_TRUE(wants_exit(SYS_read));
  EXPECT_FALSE(wants_entry(SYS_write));
  EXPECT_FALSE(wants_entry(1023));
}

TEST_F(Deny, AnswersWhatIsDenied) {
  start("deny EPERM ptrace, kill\ndeny ENOSYS openat2\n");
  EXPECT_EQ(made(SYS_ptrace, {0}), -EPERM);
  EXPECT_EQ(made(SYS_openat2, {0}), -ENOSYS);
  EXPECT_EQ(made(SYS_getpid, {}), kPassed);
  EXPECT_EQ(printed(), "");
}

TEST_F(Deny, LooksAtTheLowerHalfOfTheNumberAsTheKernelDoes) {
  start("deny EPERM ptrace\n");
  sysload_thread thread{};
  sysload_call call{};
  call.number = uint64_t{7} << 32 | SYS_ptrace;
  EXPECT_EQ(hook_->entry(hook_, &thread, &call), SYSLOAD_ANSWER);
}

TEST_F(Deny, TakesTheFirstRuleThatMatches) {
  start(
      "allow openat path under /tmp\n"
      "deny EACCES openat path under /tmp/secret\n"
      "deny EPERM openat writing\n");
  EXPECT_EQ(opened("/tmp/secret/x", O_WRONLY), kPassed);
  EXPECT_EQ(opened("/etc/x", O_WRONLY), -EPERM);
  EXPECT_EQ(opened("/etc/x"), kPassed);
}

TEST_F(Deny, FallsBackToTheDefault) {
  start("allow openat path is /etc/passwd\nlog read\ndefault deny EPERM\n");
  EXPECT_EQ(opened("/etc/../etc/passwd"), kPassed);
  EXPECT_EQ(opened("/etc/group"), -EPERM);
  EXPECT_EQ(made(SYS_read, {0}), -EPERM);
  EXPECT_EQ(made(1023, {0}), -EPERM);
}

TEST_F(Deny, ComparesArguments) {
  start(
      "deny EPERM read arg2 > 4096\n"
      "deny EACCES mmap arg2 & PROT_WRITE|PROT_EXEC == PROT_WRITE|PROT_EXEC\n"
      "deny EINVAL write int0 < 0\n"
      "deny EIO lseek arg1 != 0 int2 == 2\n");
  EXPECT_EQ(made(SYS_read, {0, 0, 4096}), kPassed);
  EXPECT_EQ(made(SYS_read, {0, 0, 4097}), -EPERM);
  EXPECT_EQ(made(SYS_read, {0, 0, ~uint64_t{0}}), -EPERM);  // unsigned
  EXPECT_EQ(made(SYS_mmap, {0, 0, 7}), -EACCES);
  EXPECT_EQ(made(SYS_mmap, {0, 0, 5}), kPassed);
  EXPECT_EQ(made(SYS_write, {0xffffffff}), -EINVAL);
  EXPECT_EQ(made(SYS_write, {uint64_t{1} << 32}), kPassed);
  EXPECT_EQ(made(SYS_lseek, {3, 1, 2}), -EIO);
  EXPECT_EQ(made(SYS_lseek, {3, 0, 2}), kPassed);
}

TEST_F(Deny, KnowsWhatOpensForWriting) {
  start("deny EROFS open, openat, openat2, creat writing\n");
  EXPECT_EQ(opened("/x", O_RDONLY | O_CLOEXEC | O_DIRECTORY), kPassed);
  EXPECT_EQ(opened("/x", O_WRONLY), -EROFS);
  EXPECT_EQ(opened("/x", O_RDWR), -EROFS);
  EXPECT_EQ(opened("/x", O_RDONLY | O_CREAT), -EROFS);
  EXPECT_EQ(opened("/x", O_RDONLY | O_TRUNC), -EROFS);
  EXPECT_EQ(opened("/x", O_PATH | O_RDWR), kPassed);
  EXPECT_EQ(made(SYS_open, {word("/x"), O_WRONLY}), -EROFS);
  EXPECT_EQ(made(SYS_creat, {word("/x"), 0}), -EROFS);
  open_how how{};
  EXPECT_EQ(made(SYS_openat2, {0, word("/x"), word(&how), sizeof(how)}), kPassed);
  how.flags = O_RDWR;
  EXPECT_EQ(made(SYS_openat2, {0, word("/x"), word(&how), sizeof(how)}), -EROFS);
  EXPECT_EQ(made(SYS_openat2, {0, word("/x"), 8, sizeof(how)}), kPassed);
}

TEST_F(Deny, SeesBothPathsOfARename) {
  start(
      "deny EACCES rename, renameat2 path under /secret\n"
      "allow link path under /tmp\n"
      "deny EPERM link\n"
      "deny EXDEV symlinkat path(2) under /secret\n");
  EXPECT_EQ(made(SYS_rename, {word("/a"), word("/b")}), kPassed);
  EXPECT_EQ(made(SYS_rename, {word("/secret/a"), word("/b")}), -EACCES);
  EXPECT_EQ(made(SYS_rename, {word("/a"), word("/secret")}), -EACCES);
  EXPECT_EQ(made(SYS_renameat2, {0, word("/a"), 0, word("/secret")}), -EACCES);
  EXPECT_EQ(made(SYS_link, {word("/tmp/a"), word("/tmp/b")}), kPassed);
  EXPECT_EQ(made(SYS_link, {word("/etc/a"), word("/tmp/b")}), -EPERM);
  EXPECT_EQ(made(SYS_symlinkat, {word("/secret/x"), 0, word("/x")}), kPassed);
  EXPECT_EQ(made(SYS_symlinkat, {word("/x"), 0, word("/secret/x")}), -EXDEV);
}

// Of openat2 with RESOLVE_IN_ROOT the directory is "/".
TEST_F(Deny, KnowsTheRootThatACallHasOfItsOwn) {
  start("deny EACCES openat2 path is /etc/passwd\ndeny EPERM openat2 path is /etc\n");
  const auto folder = static_cast<uint64_t>(open("/etc", O_PATH | O_DIRECTORY));
  open_how how{};
  how.resolve = RESOLVE_IN_ROOT;
  const auto opened_in = [&](uint64_t at, const char* path) {
    return made(SYS_openat2, {at, word(path), word(&how), sizeof(how)});
  };
  for (const char* path : {"passwd", "/passwd", "../../passwd", "//x/../..//passwd", "./passwd/"})
    EXPECT_EQ(opened_in(folder, path), -EACCES) << path;
  for (const char* path : {"/", "..", "/../..", "x/.."})
    EXPECT_EQ(opened_in(folder, path), -EPERM) << path;
  EXPECT_EQ(opened_in(folder, "/etc/passwd"), kPassed);
  EXPECT_EQ(opened_in(folder, "../etc/passwd"), kPassed);
  const auto top = static_cast<uint64_t>(open("/", O_PATH | O_DIRECTORY));
  EXPECT_EQ(opened_in(top, "/../etc/passwd"), -EACCES);
  EXPECT_EQ(opened_in(99999, "/etc/passwd"), kPassed);  // the kernel answers EBADF
  how.resolve = 0;
  EXPECT_EQ(opened_in(folder, "/passwd"), kPassed);
  EXPECT_EQ(opened_in(folder, "../etc/passwd"), -EACCES);
  close(static_cast<int>(folder));
  close(static_cast<int>(top));
}

TEST_F(Deny, TakesNoNameForTheDescriptorsFileWhereTheCallDoes) {
  start("deny EACCES newfstatat, utimensat, statx, openat path is /etc/passwd\n");
  const auto file = static_cast<uint64_t>(open("/etc/passwd", O_PATH));
  EXPECT_EQ(made(SYS_newfstatat, {file, word(""), 0, AT_EMPTY_PATH}), -EACCES);
  EXPECT_EQ(made(SYS_newfstatat, {file, 0, 0, AT_EMPTY_PATH}), -EACCES);
  EXPECT_EQ(made(SYS_statx, {file, 0, AT_EMPTY_PATH}), -EACCES);
  EXPECT_EQ(made(SYS_utimensat, {file, 0, 0, 0}), -EACCES);  // futimens
  // The kernel answers EFAULT.
  EXPECT_EQ(made(SYS_newfstatat, {file, 0, 0, 0}), kPassed);
  EXPECT_EQ(made(SYS_openat, {file, 0, 0}), kPassed);
  close(static_cast<int>(file));
}

TEST_F(Deny, SeesTheSourceOfAMountWhereItIsAPath) {
  start("deny EPERM mount path under /secret\n");
  const uint64_t source = word("/secret/x"), target = word("/mnt"), type = word("ext4");
  EXPECT_EQ(made(SYS_mount, {source, target, 0, MS_BIND}), -EPERM);
  EXPECT_EQ(made(SYS_mount, {source, target, 0, MS_BIND | MS_REC}), -EPERM);
  EXPECT_EQ(made(SYS_mount, {source, target, 0, MS_MOVE}), -EPERM);
  EXPECT_EQ(made(SYS_mount, {source, target, type, MS_NOSUID}), kPassed);
  EXPECT_EQ(made(SYS_mount, {source, target, 0, MS_BIND | MS_REMOUNT}), kPassed);
  EXPECT_EQ(made(SYS_mount, {source, target, 0, MS_PRIVATE}), kPassed);
  EXPECT_EQ(made(SYS_mount, {target, source, 0, MS_BIND}), -EPERM);
}

TEST_F(Deny, IsOnTheSafeSideWhereABaseIsUnknown) {
  start("allow openat path under /tmp\ndeny EACCES openat path under /etc\n");
  EXPECT_EQ(made(SYS_openat, {99999, word("x"), 0}), kPassed);  // the kernel answers EBADF
  fake_.answer = [](uint64_t number, const uint64_t(&)[6]) -> std::optional<int64_t> {
    if (number == SYS_getcwd) return -ENOENT;
    return std::nullopt;
  };
  EXPECT_EQ(opened("x"), -EACCES);
  EXPECT_EQ(made(SYS_openat, {99999, 8, 0}), kPassed);  // the kernel answers EFAULT
}

TEST_F(Deny, LogsAndGoesOn) {
  start(
      "log openat path like /etc/*\nlog openat writing\ndeny EACCES openat path is /etc/shadow\n");
  EXPECT_EQ(opened("/etc/shadow", O_WRONLY), -EACCES);
  EXPECT_EQ(printed(),
            "deny: PID: log openat(-100, \"/etc/shadow\", 1) (P:1)\n"
            "deny: PID: log openat(-100, \"/etc/shadow\", 1) (P:2)\n");
  EXPECT_EQ(opened("/etc/a\nb\"c"), kPassed);
  EXPECT_EQ(printed(), "deny: PID: log openat(-100, \"/etc/a\\x0ab\\x22c\") (P:1)\n");
}

TEST_F(Deny, ReportsDenialsWhereItIsAsked) {
  start("deny EACCES openat path is /etc/shadow\n", ":report");
  EXPECT_EQ(opened("/etc/shadow"), -EACCES);
  EXPECT_EQ(printed(), "deny: PID: denied openat(-100, \"/etc/shadow\") (P:1)\n");
}

TEST_F(Deny, JudgesAnswers) {
  start(
      "allow openat answer == ENOENT path under /lib\n"
      "log openat answer < 0\n"
      "deny EIO read answer > 0\n"
      "log read answer >= 0\n");
  EXPECT_EQ(opened("/x", 0, 3), 3);
  EXPECT_EQ(opened("/lib/x", 0, -ENOENT), -ENOENT);
  EXPECT_EQ(printed(), "");
  EXPECT_EQ(opened("/x", 0, -ENOENT), -ENOENT);
  EXPECT_EQ(printed(), "deny: PID: log openat(-100, \"/x\") = -2 ENOENT (P:2)\n");
  EXPECT_EQ(made(SYS_read, {0}, 17), -EIO);
  EXPECT_EQ(printed(), "");
  EXPECT_EQ(made(SYS_read, {0}, 0), 0);
  EXPECT_EQ(printed(), "deny: PID: log read() = 0 (P:4)\n");
  EXPECT_EQ(made(SYS_read, {0}, SYSLOAD_RESTARTED), SYSLOAD_RESTARTED);
}

TEST_F(Deny, JudgesAnswersOfWhatIsAllowed) {
  start("log openat answer < 0\nallow openat\ndeny EPERM openat\nlog openat answer == ENOENT\n");
  EXPECT_EQ(opened("/x", 0, -ENOENT), -ENOENT);
  EXPECT_EQ(printed(),
            "deny: PID: log openat(-100, \"/x\") = -2 ENOENT (P:1)\n"
            "deny: PID: log openat(-100, \"/x\") = -2 ENOENT (P:4)\n");
}

// The path of a rule that judges the answer is the one before the call.
TEST_F(Deny, RemembersWhatWasBeforeTheCall) {
  start("log chdir path under /tmp answer == 0\n");
  std::string path = "/tmp/x";
  sysload_thread thread{};
  sysload_call call{};
  call.number = SYS_chdir;
  call.argument[0] = word(path.c_str());
  EXPECT_EQ(hook_->entry(hook_, &thread, &call), SYSLOAD_PASS);
  path[1] = 'T';
  call.result = 0;
  hook_->exit(hook_, &thread, &call);
  EXPECT_EQ(printed(), "deny: PID: log chdir(\"/Tmp/x\") = 0 (P:1)\n");
}

TEST_F(Deny, KillsTheProcess) {
  start("kill reboot\n");
  std::string asked;
  fake_.answer = [&asked](uint64_t number, const uint64_t(&argument)[6]) -> std::optional<int64_t> {
    if (number != SYS_kill) return std::nullopt;
    asked = std::to_string(argument[0]) + " " + std::to_string(argument[1]);
    throw std::runtime_error("dead");  // nothing comes back from it
  };
  EXPECT_THROW(made(SYS_reboot, {1, 2}), std::runtime_error);
  EXPECT_EQ(asked, std::to_string(getpid()) + " 9");
  EXPECT_EQ(printed(), "deny: PID: killed for reboot(1, 2) (P:1)\n");
}

TEST_F(Deny, NeverKeepsAThreadFromEnding) {
  start("default deny EPERM\nallow read\n");
  EXPECT_EQ(made(SYS_exit_group, {0}), kPassed);
  EXPECT_EQ(made(SYS_exit, {0}), kPassed);
  EXPECT_EQ(made(SYS_rt_sigreturn, {0}), kPassed);
  EXPECT_EQ(made(SYS_read, {0}), kPassed);
  EXPECT_EQ(made(SYS_write, {0}), -EPERM);
  EXPECT_TRUE(wants_entry(1023));
}

TEST_F(Deny, RefusesAPolicyWithAMistake) {
  std::ofstream(file_) << "default allow\ndeny EPERM opennat\n";
  EXPECT_EQ(failure("policy=" + file_.string()),
            file_.string() + ":2:12: found 'opennat', expected the name of a system call, or *");
}

TEST_F(Deny, RefusesOptionsThatThereAreNot) {
  EXPECT_EQ(failure(""), "which policy? deny:policy=FILE");
  EXPECT_EQ(failure("policy="), "which policy? deny:policy=FILE");
  EXPECT_EQ(failure("output=x:polcy=" + file_.string()),
            "option at column 10: found polcy=" + file_.string() +
                ", expected policy=FILE, report or output=PATH");
  EXPECT_EQ(failure("policy=/dev/null:report=no"),
            "option at column 18: found report=no, expected report without a value");
  EXPECT_EQ(failure("policy=/dev/null:report=12345678"),
            "option at column 18: found report=12345678, expected report without a value");
  EXPECT_EQ(failure("policy=/dev/null:policy=/dev/zero"),
            "option at column 18: found policy=/dev/zero, expected policy once");
  EXPECT_EQ(failure("policy"), "option at column 1: found policy, expected policy=VALUE");
  EXPECT_EQ(failure("policy=/nonexistent"), "cannot read /nonexistent: ENOENT");
  EXPECT_EQ(failure("policy=/tmp"), "cannot read /tmp: EISDIR");
}

TEST_F(Deny, RefusesAPolicyWithoutEnd) {
  EXPECT_EQ(failure("policy=/dev/zero"), "/dev/zero is longer than 65520 bytes");
}

// A process that is executed later reads what the first one read.
TEST_F(Deny, HasOnePolicyForATree) {
  start("deny EPERM ptrace\n");
  std::ofstream(file_) << "deny EPERM getpid\n";
  hook_ = &fake_.hook("policy=" + file_.string());
  EXPECT_EQ(sysload_hook_init_deny(hook_), 0);
  EXPECT_EQ(made(SYS_ptrace, {0}), -EPERM);
  EXPECT_EQ(made(SYS_getpid, {0}), kPassed);
}

TEST_F(Deny, ReadsThePolicyItselfWhereNothingIsShared) {
  fake_.can_share = false;
  start("deny EPERM ptrace\n");
  EXPECT_EQ(made(SYS_ptrace, {0}), -EPERM);
}

}  // namespace

}  // namespace sysrewrite::test
