// What the trace hook shows of processes, signals and time.
#include <asm/unistd.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "tests/hooks/traced_calls.h"

namespace sysrewrite::test {

namespace {

TEST_F(Trace, CloneShowsItsArgumentsByName) {
  int parent = 99;
  EXPECT_EQ(
      traced(__NR_clone, {CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, 0, 0, 0x1000}, 99),
      "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, "
      "child_tidptr=0x1000) = 99");
  EXPECT_EQ(
      traced(__NR_clone,
             {CLONE_VM | CLONE_PARENT_SETTID | CLONE_SETTLS, 0x2000, at(&parent), 0, 0x3000}, 99),
      "clone(child_stack=0x2000, flags=CLONE_VM|CLONE_SETTLS|CLONE_PARENT_SETTID, parent_tid=[99], "
      "tls=0x3000) = 99");
}

TEST_F(Trace, Clone3ShowsWhatItStored) {
  int parent = 0;
  uint64_t arguments[11] = {
      CLONE_VM | CLONE_PARENT_SETTID, 0, 0, at(&parent), 0, 0x7000, 0x1000, 0, 0, 0, 0};
  EXPECT_EQ(traced(__NR_clone3, {at(arguments), 88}, 99, [&] { parent = 99; }),
            "clone3({flags=CLONE_VM|CLONE_PARENT_SETTID, parent_tid=" + hex(at(&parent)) +
                ", exit_signal=0, stack=0x7000, stack_size=0x1000} => {parent_tid=[99]}, 88) = 99");
  EXPECT_EQ(traced(__NR_clone3, {at(arguments), 88}, -EAGAIN),
            "clone3({flags=CLONE_VM|CLONE_PARENT_SETTID, parent_tid=" + hex(at(&parent)) +
                ", exit_signal=0, stack=0x7000, stack_size=0x1000}, 88) = -1 EAGAIN (Resource "
                "temporarily "
                "unavailable)");
}

TEST_F(Trace, WaitTakesTheStatusApart) {
  int status = 3 << 8;
  const auto wait4 = [&](int64_t result) {
    return traced(__NR_wait4, {kOnes, at(&status), 0, 0}, result);
  };
  EXPECT_EQ(wait4(99), "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 99");
  status = SIGSEGV | 0x80;
  EXPECT_EQ(
      wait4(99),
      "wait4(-1, [{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}], 0, NULL) = 99");
  status = SIGSTOP << 8 | 0x7f;
  EXPECT_EQ(wait4(99), "wait4(-1, [{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}], 0, NULL) = 99");
  status = 0xffff;
  EXPECT_EQ(wait4(99), "wait4(-1, [{WIFCONTINUED(s)}], 0, NULL) = 99");
  EXPECT_EQ(wait4(0), "wait4(-1, " + hex(at(&status)) + ", 0, NULL) = 0");
}

TEST_F(Trace, LimitsAreMultiplesOf1024) {
  rlimit limit{8 << 20, RLIM_INFINITY};
  EXPECT_EQ(traced(__NR_prlimit64, {0, RLIMIT_STACK, 0, at(&limit)}, 0),
            "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
}

// Of users and groups: unsigned, but for the one that says "leave it".
TEST_F(Trace, UsersAndGroupsAreUnsigned) {
  uint32_t ids[] = {3000000000, 5, 0xffffffff};
  EXPECT_EQ(traced(__NR_chown, {at("f"), 3000000000, 0xffffffff}, 0),
            "chown(\"f\", 3000000000, -1) = 0");
  EXPECT_EQ(traced(__NR_setresuid, {kOnes, 4294967294, 0}, 0), "setresuid(-1, 4294967294, 0) = 0");
  EXPECT_EQ(traced(__NR_setgroups, {3, at(ids)}, 0), "setgroups(3, [3000000000, 5, -1]) = 0");
  EXPECT_EQ(traced(__NR_getgroups, {8, at(ids)}, 2), "getgroups(8, [3000000000, 5]) = 2");
  EXPECT_EQ(traced(__NR_getresgid, {at(ids), at(ids + 1), at(ids + 2)}, 0),
            "getresgid([3000000000], [5], [-1]) = 0");
  socklen_t size = sizeof(ids);
  EXPECT_EQ(traced(__NR_getsockopt, {3, SOL_SOCKET, SO_PEERCRED, at(ids), at(&size)}, 0,
                   [&] {
                     ids[0] = 7;
                     ids[1] = 2147483648;
                   }),
            "getsockopt(3, SOL_SOCKET, SO_PEERCRED, {pid=7, uid=2147483648, gid=-1}, [12]) = 0");
  siginfo_t info{};
  info.si_signo = SIGCHLD;
  info.si_code = CLD_EXITED;
  info.si_uid = 3000000000;
  EXPECT_EQ(traced(__NR_waitid, {0, 0, at(&info), WEXITED, 0}, 0),
            "waitid(P_ALL, 0, {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=0, si_uid=3000000000, "
            "si_status=0, si_utime=0, si_stime=0}, WEXITED, NULL) = 0");
}

// As strace 6.1 has them; trace_calls.py compares what is given.
TEST_F(Trace, PrctlShowsWhatTheKernelAnswers) {
  int number = SIGTERM;
  uint64_t address = 0x5000;
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_PDEATHSIG, at(&number)}, 0),
            "prctl(PR_GET_PDEATHSIG, [SIGTERM]) = 0");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_PDEATHSIG, 8}, -EFAULT),
            "prctl(PR_GET_PDEATHSIG, 0x8) = -1 EFAULT (Bad address)");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_TSC, at(&number)}, 0, [&] { number = PR_TSC_ENABLE; }),
            "prctl(PR_GET_TSC, [PR_TSC_ENABLE]) = 0");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_TID_ADDRESS, at(&address)}, 0),
            "prctl(PR_GET_TID_ADDRESS, [0x5000]) = 0");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_CHILD_SUBREAPER, at(&number)}, 0),
            "prctl(PR_GET_CHILD_SUBREAPER, [1]) = 0");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_DUMPABLE}, 1),
            "prctl(PR_GET_DUMPABLE) = 1 (SUID_DUMP_USER)");
  EXPECT_EQ(traced(__NR_prctl, {PR_MCE_KILL_GET, 0, 0, 0, 0}, 2),
            "prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) = 2 (PR_MCE_KILL_DEFAULT)");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_SECUREBITS}, SECBIT_KEEP_CAPS),
            "prctl(PR_GET_SECUREBITS) = 0x10 (SECBIT_KEEP_CAPS)");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_SECUREBITS}, 0), "prctl(PR_GET_SECUREBITS) = 0");
  EXPECT_EQ(traced(__NR_prctl, {PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS}, PR_SPEC_ENABLE),
            "prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS) = 0x2 (PR_SPEC_ENABLE)");
}

TEST_F(Trace, ResultsThatAreNamesHaveThem) {
  timex clock{};
  EXPECT_TRUE(
      traced(__NR_adjtimex, {at(&clock)}, TIME_ERROR).ends_with("tai=0}) = 5 (TIME_ERROR)"));
  EXPECT_EQ(traced(__NR_membarrier, {0, 0, 0}, 0x18),
            "membarrier(MEMBARRIER_CMD_QUERY, 0) = 0x18 (MEMBARRIER_CMD_PRIVATE_EXPEDITED|"
            "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)");
}

TEST_F(Trace, ArgumentsAndEnvironmentOfAProgram) {
  const char* arguments[] = {"ls", "-l", nullptr};
  const char* environment[] = {"A=1", nullptr};
  EXPECT_EQ(traced(__NR_execve, {at("/nonexistent"), at(arguments), at(environment)}, -ENOENT),
            "execve(\"/nonexistent\", [\"ls\", \"-l\"], " + hex(at(environment)) +
                " /* 1 var */) = -1 ENOENT (No such file or directory)");
}

TEST_F(Trace, AnExecveThatSucceedsIsCompletedByTheNewProgram) {
  const char* arguments[] = {"true", nullptr};
  start();
  api_.enter(__NR_execve, {at("/bin/true"), at(arguments), 0});
  EXPECT_EQ(api_.output, "1234  execve(\"/bin/true\", [\"true\"], NULL <unfinished ...>\n");
  api_.output.clear();
  api_.answer = [](uint64_t number, const uint64_t*, int64_t*) { return number == 0x10000; };
  start();  // the hook of the new program
  const std::string process = std::to_string(getpid());
  EXPECT_EQ(api_.output, process + std::string(process.size() < 5 ? 5 - process.size() : 0, ' ') +
                             " <... execve resumed>)             = 0\n");
  api_.output.clear();
  start();  // and no other
  EXPECT_EQ(api_.output, "");
}

TEST_F(Trace, AnExecveatThatSucceedsIsCompletedAsOne) {
  start();
  api_.enter(__NR_execveat, {kHere, at("/bin/true"), 0, 0, 0});
  EXPECT_EQ(api_.output,
            "1234  execveat(AT_FDCWD, \"/bin/true\", NULL, NULL, 0 <unfinished ...>\n");
  api_.output.clear();
  api_.answer = [](uint64_t number, const uint64_t*, int64_t*) { return number == 0x10000; };
  start();  // the hook of the new program
  EXPECT_NE(api_.output.find(" <... execveat resumed>)           = 0\n"), std::string::npos)
      << api_.output;
  api_.output.clear();
  start();
  EXPECT_EQ(api_.output, "");
}

TEST_F(Trace, AnExecveThatFailsUnexpectedlyIsCompletedByTheOldProgram) {
  const char* arguments[] = {"true", nullptr};
  start();
  api_.make_call(__NR_execve, {at("/bin/true"), at(arguments), 0}, -ENOMEM);
  EXPECT_EQ(api_.output,
            "1234  execve(\"/bin/true\", [\"true\"], NULL <unfinished ...>\n"
            "1234  <... execve resumed>)             = -1 ENOMEM (Cannot allocate memory)\n");
  api_.output.clear();
  start();
  EXPECT_EQ(api_.output, "");
}

TEST_F(Trace, WhatDoesNotReturnIsWrittenBefore) {
  start();
  api_.enter(__NR_exit_group, {3});
  EXPECT_EQ(api_.output,
            "1234  exit_group(3)                     = ?\n1234  +++ exited with 3 +++\n");
  api_.output.clear();
  start("filter=openat");
  api_.enter(__NR_exit, {0});
  EXPECT_EQ(api_.output, "1234  +++ exited with 0 +++\n");
}

TEST_F(Trace, ASignalFrameHasItsMaskAndResult) {
  uint64_t frame[64]{};
  frame[37] = 1 << 1 | 1 << 16;  // uc_sigmask
  frame[18] = static_cast<uint64_t>(-EINTR);
  start();
  api_.enter(__NR_rt_sigreturn, {}, at(frame));
  EXPECT_EQ(line(), "rt_sigreturn({mask=[INT CHLD]}) = -1 EINTR (Interrupted system call)");
}

TEST_F(Trace, ARestartedCallIsNamed) {
  traced(__NR_nanosleep, {0, 0}, SYSLOAD_RESTARTED);
  EXPECT_EQ(traced(__NR_restart_syscall, {}, 0),
            "restart_syscall(<... resuming interrupted nanosleep ...>) = 0");
}

TEST_F(Trace, AnInterruptedSleepSaysWhatIsLeft) {
  timespec wanted{1, 0}, left{0, 5};
  EXPECT_EQ(traced(__NR_nanosleep, {at(&wanted), at(&left)}, 0),
            "nanosleep({tv_sec=1, tv_nsec=0}, " + hex(at(&left)) + ") = 0");
  EXPECT_EQ(traced(__NR_nanosleep, {at(&wanted), at(&left)}, -EINTR),
            "nanosleep({tv_sec=1, tv_nsec=0}, {tv_sec=0, tv_nsec=5}) = -1 EINTR (Interrupted "
            "system call)");
}

}  // namespace

}  // namespace sysrewrite::test
