// The trace hook, call by call: what is shown of what the kernel fills in, and what is refused.
// trace_calls.py compares what is shown of arguments with strace.

#include <asm/unistd.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <random>

#include "loader/hooks/hooks.h"
#include "tests/hooks/scripted_api.h"

namespace {

template <class T>
uint64_t at(T* pointer) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uint64_t>(pointer);
}

constexpr uint64_t kOnes = ~uint64_t{0};
constexpr auto kHere = static_cast<uint64_t>(AT_FDCWD);

std::string hex(uint64_t value) {
  char text[24];
  snprintf(text, sizeof(text), "%#lx", value);
  return text;
}

class Trace : public testing::Test {
 protected:
  void start(const std::string& options = "") { api_.start(&sysload_hook_init_trace, options); }

  // What the hook says of the call, without the process and the blanks in front of the result.
  std::string traced(uint64_t number, const std::vector<uint64_t>& arguments, int64_t result,
                     const std::function<void()>& kernel = {}) {
    if (api_.hook.entry == nullptr) start();
    api_.output.clear();
    api_.make_call(number, arguments, result, kernel);
    return line();
  }

  std::string line() const {
    std::string text = api_.output;
    if (text.rfind("1234  ", 0) != 0) return "no process: " + text;
    if (text.back() != '\n') return "no end: " + text;
    text = text.substr(6, text.size() - 7);
    const size_t result = text.rfind("= ");
    size_t blanks = result;
    while (blanks > 0 && text[blanks - 1] == ' ') --blanks;
    if (result != std::string::npos) text.replace(blanks, result - blanks, " ");
    return text;
  }

  std::string refusal(const std::string& options) {
    try {
      start(options);
    } catch (const HookFailure& failure) {
      return failure.what();
    }
    return "";
  }

  ScriptedApi api_;
};

// --- Lines ---------------------------------------------------------------------------------------

TEST_F(Trace, ResultsStandInColumnFortyBehindTheProcess) {
  traced(__NR_close, {3}, 0);
  EXPECT_EQ(api_.output, "1234  close(3)                          = 0\n");
  traced(__NR_mprotect, {0x7f0000000000, 4096, PROT_READ}, 0);
  EXPECT_EQ(api_.output, "1234  mprotect(0x7f0000000000, 4096, PROT_READ) = 0\n");
}

TEST_F(Trace, ResultsAreDecimalHexadecimalOrOctal) {
  EXPECT_EQ(
      traced(__NR_mmap, {0, 4096, 3, 0x22, kOnes, 0}, 0x7f0000001000),
      "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000");
  EXPECT_EQ(traced(__NR_umask, {022}, 02), "umask(022) = 002");
  EXPECT_EQ(traced(__NR_lseek, {3, 0, 2}, 5000), "lseek(3, 0, SEEK_END) = 5000");
  EXPECT_EQ(traced(__NR_time, {0}, 86400), "time(NULL) = 86400 (1970-01-02T00:00:00+0000)");
}

TEST_F(Trace, ErrorsHaveTheirNameAndText) {
  EXPECT_EQ(traced(__NR_close, {9}, -EBADF), "close(9) = -1 EBADF (Bad file descriptor)");
  EXPECT_EQ(traced(__NR_close, {9}, -133),
            "close(9) = -1 EHWPOISON (Memory page has hardware error)");
  EXPECT_EQ(traced(__NR_close, {9}, -EPERM), "close(9) = -1 EPERM (Operation not permitted)");
  EXPECT_EQ(traced(__NR_close, {9}, -4000), "close(9) = -1 (errno 4000)");
  EXPECT_EQ(traced(__NR_read, {0, 0x1000, 5}, SYSLOAD_RESTARTED),
            "read(0, 0x1000, 5) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)");
}

TEST_F(Trace, NumbersWithoutANameAreShown) {
  EXPECT_EQ(traced(1000, {1, 2, 3, 4, 5, 6}, -ENOSYS),
            "syscall_0x3e8(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)");
  EXPECT_EQ(traced(70000, {0, 0, 0, 0, 0, 0}, -ENOSYS),
            "syscall_0x11170(0, 0, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)");
  // The kernel looks at the lower half alone.
  EXPECT_EQ(traced(0x500000003, {4}, 0), "close(4) = 0");
}

TEST_F(Trace, CallsThatStraceDoesNotKnowYetAreDecoded) {
  const char path[] = "f";
  EXPECT_EQ(traced(452, {kHere, at(path), 0600, AT_SYMLINK_NOFOLLOW}, 0),
            "fchmodat2(AT_FDCWD, \"f\", 0600, AT_SYMLINK_NOFOLLOW) = 0");
  EXPECT_EQ(traced(462, {0x1000, 4096, 0}, 0), "mseal(0x1000, 4096, 0) = 0");
  EXPECT_EQ(traced(454, {0x1000, 1, 2, 3}, 0), "futex_wake(0x1000, 0x1, 2, 0x3) = 0");
}

TEST_F(Trace, WithoutMemoryForACallTheLineIsTheSame) {
  api_.has_call_memory = false;
  char buffer[] = "abc";
  EXPECT_EQ(traced(__NR_read, {0, at(buffer), 5}, 3), "read(0, \"abc\", 5) = 3");
}

TEST_F(Trace, WhatTheKernelOverwritesIsShownAsItWas) {
  char path[] = "old";
  EXPECT_EQ(traced(__NR_readlink, {at(path), at(path), 3}, 3, [&] { memcpy(path, "new", 3); }),
            "readlink(\"old\", \"new\", 3) = 3");
}

TEST_F(Trace, ALineHasAnEnd) {
  std::string path(4000, '\1');
  const std::string text = traced(__NR_link, {at(path.c_str()), at(path.c_str())}, -ENAMETOOLONG);
  EXPECT_LE(api_.output.size(), SYSLOAD_LINE);
  EXPECT_TRUE(text.ends_with("\\1\\1\\1...) = -1 ENAMETOOLONG (File name too long)"));
}

// Arguments, results and memory of any kind: each call gives lines, and nothing else happens.
TEST_F(Trace, HostileCallsAreOnlyPrinted) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> page(512);
  start();
  const auto any = [&]() -> uint64_t {
    const uint64_t kinds[] = {random(),
                              random() % 64,
                              0,
                              kOnes,
                              at(page.data()),
                              at(page.data() + 500),
                              random() % 4096,
                              at(page.data()) + random() % 4096};
    return kinds[random() % 8];
  };
  for (unsigned i = 0; i < 20000; ++i) {
    for (uint64_t& word : page) word = any();
    const uint64_t number = random() % 480;
    const auto result = static_cast<int64_t>(any());
    api_.output.clear();
    api_.make_call(number, {any(), any(), any(), any(), any(), any()}, result);
    ASSERT_FALSE(api_.output.empty()) << number;
    ASSERT_EQ(api_.output.back(), '\n');
    ASSERT_LE(api_.output.size(), 2 * SYSLOAD_LINE);
    ASSERT_EQ(api_.output.rfind("1234  ", 0), 0U);
  }
}

// --- Strings -------------------------------------------------------------------------------------

TEST_F(Trace, StringsAreEscapedAndCut) {
  const char text[] = "a\"\\\n\t\0011\0018\033[0m\377";
  EXPECT_EQ(traced(__NR_write, {1, at(text), sizeof(text)}, 1),
            "write(1, \"a\\\"\\\\\\n\\t\\0011\\18\\33[0m\\377\\0\", 15) = 1");
  const std::string long_text(40, 'x');
  EXPECT_EQ(traced(__NR_write, {1, at(long_text.c_str()), 40}, 40),
            "write(1, \"" + std::string(32, 'x') + "\"..., 40) = 40");
  EXPECT_EQ(traced(__NR_write, {1, at(long_text.c_str()), 32}, 32),
            "write(1, \"" + std::string(32, 'x') + "\", 32) = 32");
  // Paths are whole.
  EXPECT_EQ(traced(__NR_chdir, {at(long_text.c_str())}, 0), "chdir(\"" + long_text + "\") = 0");
  EXPECT_EQ(traced(__NR_chdir, {8}, -EFAULT), "chdir(0x8) = -1 EFAULT (Bad address)");
}

TEST_F(Trace, TheLimitOfStringsIsAnOption) {
  start("string-limit=2");
  EXPECT_EQ(traced(__NR_write, {1, at("abc"), 3}, 3), "write(1, \"ab\"..., 3) = 3");
}

TEST_F(Trace, AStringMayEndWhereMemoryEnds) {
  auto* pages = static_cast<char*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ASSERT_EQ(mprotect(pages + 4096, 4096, PROT_NONE), 0);
  memcpy(pages + 4092, "abc", 4);
  EXPECT_EQ(traced(__NR_chdir, {at(pages + 4092)}, 0), "chdir(\"abc\") = 0");
  pages[4095] = 'd';
  EXPECT_EQ(traced(__NR_chdir, {at(pages + 4092)}, -EFAULT),
            "chdir(" + hex(at(pages + 4092)) + ") = -1 EFAULT (Bad address)");
  munmap(pages, 8192);
}

TEST_F(Trace, WhatWasReadIsShownBehindTheCall) {
  char buffer[8] = {};
  const uint64_t address = at(buffer);
  EXPECT_EQ(traced(__NR_read, {3, address, 8}, 2, [&] { memcpy(buffer, "hi", 2); }),
            "read(3, \"hi\", 8) = 2");
  EXPECT_EQ(traced(__NR_read, {3, address, 8}, 0), "read(3, \"\", 8) = 0");
  EXPECT_EQ(traced(__NR_read, {3, address, 8}, -EAGAIN),
            "read(3, " + hex(address) + ", 8) = -1 EAGAIN (Resource temporarily unavailable)");
  EXPECT_EQ(traced(__NR_getrandom, {address, 2, 0}, 2), "getrandom(\"\\x68\\x69\", 2, 0) = 2");
  EXPECT_EQ(traced(__NR_getcwd, {address, 8}, 3), "getcwd(\"hi\", 8) = 3");
}

TEST_F(Trace, VectorsShowWhatWasMoved) {
  char first[4] = {'a', 'b', 'c', 'd'}, second[4] = {'e', 'f', 'g', 'h'};
  iovec vectors[] = {{first, 4}, {second, 4}};
  EXPECT_EQ(traced(__NR_writev, {1, at(vectors), 2}, 8),
            "writev(1, [{iov_base=\"abcd\", iov_len=4}, {iov_base=\"efgh\", iov_len=4}], 2) = 8");
  EXPECT_EQ(traced(__NR_readv, {1, at(vectors), 2}, 5),
            "readv(1, [{iov_base=\"abcd\", iov_len=4}, {iov_base=\"e\", iov_len=4}], 2) = 5");
}

// --- Files ---------------------------------------------------------------------------------------

TEST_F(Trace, StatShowsModeAndSizeOrDevice) {
  struct stat status {};
  status.st_mode = S_IFREG | 0644;
  status.st_size = 17;
  EXPECT_EQ(traced(__NR_stat, {at("f"), at(&status)}, 0),
            "stat(\"f\", {st_mode=S_IFREG|0644, st_size=17, ...}) = 0");
  status.st_mode = S_IFCHR | S_ISVTX | 0620;
  status.st_rdev = 0x8801;
  EXPECT_EQ(traced(__NR_fstat, {3, at(&status)}, 0),
            "fstat(3, {st_mode=S_IFCHR|S_ISVTX|0620, st_rdev=makedev(0x88, 0x1), ...}) = 0");
  EXPECT_EQ(traced(__NR_newfstatat, {kHere, at("f"), 8, 0}, -ENOENT),
            "newfstatat(AT_FDCWD, \"f\", 0x8, 0) = -1 ENOENT (No such file or directory)");
}

TEST_F(Trace, StatxShowsItsMask) {
  struct statx status {};
  status.stx_mask = STATX_TYPE | STATX_SIZE;
  status.stx_mode = S_IFDIR | 0700;
  status.stx_size = 5;
  EXPECT_EQ(traced(__NR_statx, {kHere, at("d"), AT_SYMLINK_NOFOLLOW, STATX_SIZE, at(&status)}, 0),
            "statx(AT_FDCWD, \"d\", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_SIZE, "
            "{stx_mask=STATX_TYPE|STATX_SIZE, stx_attributes=0, stx_mode=S_IFDIR|0700, stx_size=5, "
            "...}) = 0");
}

TEST_F(Trace, AModeIsShownOnlyWhereAFileMayBeCreated) {
  EXPECT_EQ(traced(__NR_openat, {kHere, at("f"), O_RDONLY | O_CLOEXEC, 0600}, 3),
            "openat(AT_FDCWD, \"f\", O_RDONLY|O_CLOEXEC) = 3");
  EXPECT_EQ(traced(__NR_openat, {5, at("f"), O_RDWR | O_CREAT | O_EXCL, 0600}, 3),
            "openat(5, \"f\", O_RDWR|O_CREAT|O_EXCL, 0600) = 3");
  EXPECT_EQ(traced(__NR_open, {at("f"), O_WRONLY | O_SYNC | O_DIRECTORY}, 3),
            "open(\"f\", O_WRONLY|O_SYNC|O_DIRECTORY) = 3");
}

TEST_F(Trace, EntriesAreCounted) {
  struct {
    uint64_t inode, offset;
    uint16_t length;
    char rest[22];
  } entries[3] = {{1, 1, 40, {}}, {2, 2, 40, {}}, {3, 3, 40, {}}};
  static_assert(sizeof(entries) == 120);
  EXPECT_EQ(traced(__NR_getdents64, {3, at(entries), 1000}, 120),
            "getdents64(3, " + hex(at(entries)) + " /* 3 entries */, 1000) = 120");
  entries[1].length = 0;  // a lie must not make it run for ever
  EXPECT_EQ(traced(__NR_getdents64, {3, at(entries), 1000}, 120),
            "getdents64(3, " + hex(at(entries)) + " /* 1 entry */, 1000) = 120");
}

TEST_F(Trace, DescriptorsThatTheKernelChooses) {
  int ends[2] = {3, 4};
  EXPECT_EQ(traced(__NR_pipe2, {at(ends), O_CLOEXEC}, 0), "pipe2([3, 4], O_CLOEXEC) = 0");
}

TEST_F(Trace, FcntlSaysWhatFlagsAre) {
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFL}, O_RDWR | O_APPEND),
            "fcntl(1, F_GETFL) = 0x402 (flags O_RDWR|O_APPEND)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFD}, FD_CLOEXEC),
            "fcntl(1, F_GETFD) = 0x1 (flags FD_CLOEXEC)");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_GETFD}, 0), "fcntl(1, F_GETFD) = 0");
  EXPECT_EQ(traced(__NR_fcntl, {1, F_DUPFD_CLOEXEC, 10}, 10), "fcntl(1, F_DUPFD_CLOEXEC, 10) = 10");
  struct flock lock {};
  lock.l_type = F_UNLCK;
  lock.l_pid = 77;
  EXPECT_EQ(
      traced(__NR_fcntl, {1, F_GETLK, at(&lock)}, 0),
      "fcntl(1, F_GETLK, {l_type=F_UNLCK, l_whence=SEEK_SET, l_start=0, l_len=0, l_pid=77}) = 0");
}

TEST_F(Trace, SendfileShowsWhereItStoodAndStands) {
  uint64_t offset = 5;
  EXPECT_EQ(traced(__NR_sendfile, {1, 3, at(&offset), 10}, 10, [&] { offset = 15; }),
            "sendfile(1, 3, [5] => [15], 10) = 10");
}

// --- Processes -----------------------------------------------------------------------------------

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

// --- Descriptors that are waited for, and sockets ------------------------------------------------

TEST_F(Trace, PollShowsWhatBecameReady) {
  pollfd entries[] = {{3, POLLIN, 0}, {4, POLLOUT, POLLOUT}};
  const std::string asked = "[{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, -1) = ";
  EXPECT_EQ(traced(__NR_poll, {at(entries), 2, kOnes}, 1),
            "poll(" + asked + "1 ([{fd=4, revents=POLLOUT}])");
  EXPECT_EQ(traced(__NR_poll, {at(entries), 2, kOnes}, 0), "poll(" + asked + "0 (Timeout)");
  timespec left{0, 7};
  EXPECT_EQ(traced(__NR_ppoll, {at(entries), 1, at(&left), 0, 8}, 1,
                   [&] { entries[0].revents = POLLHUP; }),
            "ppoll([{fd=3, events=POLLIN}], 1, {tv_sec=0, tv_nsec=7}, NULL, 8) = 1 ([{fd=3, "
            "revents=POLLHUP}], left "
            "{tv_sec=0, tv_nsec=7})");
}

// As strace 6.1 has them.
TEST_F(Trace, ReceivedMessagesShowTheTimeoutAsItWasAndWhatIsLeft) {
  mmsghdr message{};
  timespec timeout{1, 5};
  const std::string received =
      "[{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_controllen=0, "
      "msg_flags=0}, msg_len=0}], 1, 0, ";
  EXPECT_EQ(
      traced(__NR_recvmmsg, {4, at(&message), 1, 0, at(&timeout)}, 1,
             [&] {
               timeout = {0, 999};
             }),
      "recvmmsg(4, " + received + "{tv_sec=1, tv_nsec=5}) = 1 (left {tv_sec=0, tv_nsec=999})");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, at(&message), 1, 0, 0}, 1),
            "recvmmsg(4, " + received + "NULL) = 1");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, at(&message), 0, 0, at(&timeout)}, 0),
            "recvmmsg(4, [], 0, 0, {tv_sec=0, tv_nsec=999}) = 0 (Timeout)");
  EXPECT_EQ(traced(__NR_recvmmsg, {4, 0x1000, 1, 0, 8}, -EFAULT),
            "recvmmsg(4, 0x1000, 1, 0, 0x8) = -1 EFAULT (Bad address)");
}

TEST_F(Trace, SelectShowsWhatBecameReady) {
  fd_set set;
  timeval left{1, 2};
  FD_ZERO(&set);
  FD_SET(3, &set);
  FD_SET(65, &set);
  EXPECT_EQ(traced(__NR_select, {66, at(&set), 0, 0, at(&left)}, 1, [&] { FD_CLR(3, &set); }),
            "select(66, [3 65], NULL, NULL, {tv_sec=1, tv_usec=2}) = 1 (in [65], left {tv_sec=1, "
            "tv_usec=2})");
  EXPECT_EQ(traced(__NR_select, {0, 0, 0, 0, at(&left)}, 0),
            "select(0, NULL, NULL, NULL, {tv_sec=1, tv_usec=2}) = 0 (Timeout)");
}

TEST_F(Trace, EpollShowsEvents) {
  epoll_event events[2]{};
  events[0].events = EPOLLIN | EPOLLHUP;
  events[0].data.u64 = 0x100000002;
  EXPECT_EQ(traced(__NR_epoll_wait, {3, at(events), 2, 0}, 1),
            "epoll_wait(3, [{events=EPOLLIN|EPOLLHUP, data={u32=2, u64=4294967298}}], 2, 0) = 1");
  EXPECT_EQ(traced(__NR_epoll_wait, {3, at(events), 2, 0}, 0), "epoll_wait(3, [], 2, 0) = 0");
}

TEST_F(Trace, AddressesThatTheKernelFillsIn) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  EXPECT_EQ(traced(__NR_accept, {3, at(&address), at(&size)}, 4,
                   [&] {
                     address.sun_family = AF_UNIX;
                     size = 2;
                   }),
            "accept(3, {sa_family=AF_UNIX}, [110 => 2]) = 4");
  sockaddr_in6 internet{};
  internet.sin6_family = AF_INET6;
  internet.sin6_port = htons(80);
  internet.sin6_addr = in6addr_loopback;
  size = sizeof(internet);
  EXPECT_EQ(traced(__NR_getsockname, {3, at(&internet), at(&size)}, 0),
            "getsockname(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
            "inet_pton(AF_INET6, "
            "\"::1\", &sin6_addr), sin6_scope_id=0}, [28]) = 0");
}

TEST_F(Trace, MessagesShowWhatCame) {
  sockaddr_in sender{};
  sender.sin_family = AF_INET;
  char text[] = "hello";
  iovec vector{text, 5};
  struct {
    uint64_t size;
    int level, type, descriptors[2];
  } control{24, SOL_SOCKET, SCM_RIGHTS, {7, 8}};
  msghdr message{&sender, 128, &vector, 1, &control, sizeof(control), 0};
  EXPECT_EQ(traced(__NR_recvmsg, {3, at(&message), 0}, 2, [&] { message.msg_namelen = 16; }),
            "recvmsg(3, {msg_name={sa_family=AF_INET, sin_port=htons(0), "
            "sin_addr=inet_addr(\"0.0.0.0\")}, "
            "msg_namelen=128 => 16, msg_iov=[{iov_base=\"he\", iov_len=5}], msg_iovlen=1, "
            "msg_control=[{cmsg_len=24, "
            "cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[7, 8]}], msg_controllen=24, "
            "msg_flags=0}, 0) = 2");
}

TEST_F(Trace, OptionsThatTheKernelFillsIn) {
  int value = 0;
  socklen_t size = 8;
  EXPECT_EQ(traced(__NR_getsockopt, {3, SOL_SOCKET, SO_TYPE, at(&value), at(&size)}, 0,
                   [&] {
                     value = 2;
                     size = 4;
                   }),
            "getsockopt(3, SOL_SOCKET, SO_TYPE, [2], [8 => 4]) = 0");
}

TEST_F(Trace, TerminalsShowTheirSize) {
  uint16_t size[4] = {24, 80, 0, 0};
  EXPECT_EQ(traced(__NR_ioctl, {0, 0x5413, at(size)}, 0),
            "ioctl(0, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0");
  EXPECT_EQ(
      traced(__NR_ioctl, {0, 0x5413, at(size)}, -ENOTTY),
      "ioctl(0, TIOCGWINSZ, " + hex(at(size)) + ") = -1 ENOTTY (Inappropriate ioctl for device)");
}

// --- Options -------------------------------------------------------------------------------------

TEST_F(Trace, OnlyCallsInTheFilterAreOfInterest) {
  start("filter=openat,%stat");
  for (uint64_t number = 0; number < SYSLOAD_MOST_NUMBERS; ++number) {
    const bool is_wanted = number == __NR_openat || number == __NR_stat;
    const bool ends = number == __NR_exit || number == __NR_exit_group;
    EXPECT_EQ(api_.hook.entry_interest[number / 64] >> number % 64 & 1, is_wanted || ends ? 1U : 0U)
        << number;
    EXPECT_EQ(api_.hook.exit_interest[number / 64] >> number % 64 & 1, is_wanted ? 1U : 0U)
        << number;
  }
}

TEST_F(Trace, AMistakeInTheFilterIsNamedWithItsPlace) {
  EXPECT_EQ(refusal("filter=close,opnat"),
            "filter, position 7: found \"opnat\", expected a system call, a number or a %class; "
            "did you mean \"openat\"?");
  EXPECT_EQ(refusal("filter=%flie"),
            "filter, position 1: found \"%flie\", expected a system call, a number or a %class; "
            "did you mean \"%file\"?");
  EXPECT_EQ(
      refusal("filter=!xyzzyplugh"),
      "filter, position 2: found \"xyzzyplugh\", expected a system call, a number or a %class");
  EXPECT_EQ(refusal("filter=close,"),
            "filter, position 7: found \"\", expected a system call, a number or a %class");
  EXPECT_EQ(refusal("filter="),
            "filter, position 1: found \"\", expected a system call, a number or a %class");
  EXPECT_EQ(refusal("filter=/^open"),
            "filter, position 1: found \"/^open\", expected a name: regular expressions are not "
            "supported, list the names");
  EXPECT_EQ(refusal("filter=read,!close"),
            "filter, position 6: found \"!close\", expected \"!\" only before the whole list, "
            "which it turns round");
  EXPECT_EQ(refusal("filter=1024"),
            "filter, position 1: found \"1024\", expected a system call, a number or a %class");
  EXPECT_EQ(refusal("filter=?/x"),
            "filter, position 2: found \"/x\", expected a name: regular expressions are not "
            "supported, list the names");
  EXPECT_EQ(refusal("filter=?nonsense,close"), "");
  EXPECT_EQ(refusal("filter=" + std::string(5000, 'x')),
            "filter: it is longer than 4095 characters");
}

TEST_F(Trace, AMistakeInTheOptionsIsNamed) {
  EXPECT_EQ(refusal("filter=close:strng-limit=3"),
            "options, position 14: found \"strng-limit\", expected filter, string-limit, output, "
            "time or spent");
  EXPECT_EQ(refusal("string-limit=x"),
            "string-limit: found \"x\", expected a number of bytes from 0 to 4096");
  EXPECT_EQ(refusal("string-limit=4097"),
            "string-limit: found \"4097\", expected a number of bytes from 0 to 4096");
  EXPECT_EQ(refusal("string-limit="),
            "string-limit: found \"\", expected a number of bytes from 0 to 4096");
  EXPECT_EQ(refusal("output=/tmp/a\\:b:time:spent:string-limit=0"), "");
}

TEST_F(Trace, TimesAreShownWhereTheyAreAskedFor) {
  start("time:spent");
  uint64_t clock = 0;
  api_.answer = [&](uint64_t number, const uint64_t* arguments, int64_t*) {
    if (number != __NR_clock_gettime) return false;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)
    auto* time = reinterpret_cast<uint64_t*>(arguments[1]);
    time[0] = 1000 + clock++;
    time[1] = 5000;
    return true;
  };
  api_.make_call(__NR_close, {3}, 0);
  EXPECT_EQ(api_.output, "1234  1000.000005 close(3)              = 0 <1.000000>\n");
}

}  // namespace
