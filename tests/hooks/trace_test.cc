// The trace hook, call by call: what is shown of what the kernel fills in, and what is refused.
// trace_calls.py compares what is shown of arguments with strace.

#include <asm/unistd.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "tests/hooks/traced_calls.h"

namespace sysrewrite::test {

namespace {

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

// As strace 6.1 has them; of these calls trace_calls.py does not compare every line.
TEST_F(Trace, ValuesThatTheKernelTakesIn64BitsAreWhole) {
  EXPECT_EQ(traced(__NR_ptrace, {0x200000000, 0, 1, 2}, -EIO),
            "ptrace(0x200000000 /* PTRACE_\?\?\? */, 0, 0x1, 0x2) = -1 EIO (Input/output error)");
  EXPECT_EQ(traced(__NR_ptrace, {0, 1, 2, 3}, 0), "ptrace(PTRACE_TRACEME) = 0");
  EXPECT_EQ(
      traced(__NR_mbind, {0, 0, 0x100000001, 0, 0, 0}, -EINVAL),
      "mbind(NULL, 0, 0x100000001 /* MPOL_\?\?\? */, NULL, 0, 0) = -1 EINVAL (Invalid argument)");
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
  EXPECT_EQ(
      refusal("filter=close:strng-limit=3"),
      "option at column 14: found strng-limit=3, expected filter=, string-limit=, time, spent "
      "or output=");
  EXPECT_EQ(refusal("time=no"), "option at column 1: found time=no, expected time without a value");
  EXPECT_EQ(refusal("time:spent=0"),
            "option at column 6: found spent=0, expected spent without a value");
  EXPECT_EQ(refusal("filter=close:filter=open"),
            "option at column 14: found filter=open, expected filter once");
  EXPECT_EQ(refusal("time:time"), "option at column 6: found time, expected time once");
  EXPECT_EQ(refusal("filter"), "option at column 1: found filter, expected filter=VALUE");
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

}  // namespace sysrewrite::test
