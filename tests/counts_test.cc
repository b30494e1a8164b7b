#include "trampoline/counts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "trampoline/call_names.h"

// The tables of the hook count.

namespace sysrewrite {
namespace {

constexpr uint32_t kRead = 0, kWrite = 1, kOpenat = 257;

class Counts {
 public:
  explicit Counts(uint32_t most) : memory_(count_size(most) / sizeof(uint64_t)) {
    header().most = most;
    header().start_ticks = 1000;
    header().start_nanoseconds = 5000;
  }

  CountHeader& header() { return *static_cast<CountHeader*>(static_cast<void*>(memory_.data())); }
  CountProcess* processes() {
    return static_cast<CountProcess*>(static_cast<void*>(&header() + 1));
  }
  void add(uint32_t pid, const char* name) {
    CountProcess& process = processes()[header().used++];
    process.pid = pid;
    std::strncpy(process.name, name, sizeof(process.name) - 1);
  }
  CountCell& cell(uint32_t process, uint32_t number) { return processes()[process].cells[number]; }

  // A tick is two nanoseconds.
  std::string text(CountOrder order = CountOrder::kTime, bool each = false) {
    std::string result;
    write_counts({&header(), processes(), header().most, order, each, 1000 + 500, 5000 + 1000},
                 {[](void* context, const char* piece, size_t size) {
                    static_cast<std::string*>(context)->append(piece, size);
                  },
                  &result});
    return result;
  }

 private:
  std::vector<uint64_t> memory_;
};

TEST(CountTable, IsAsStraceShowsIt) {
  Counts counts(4);
  counts.add(42, "prog");
  counts.cell(0, kRead) = {4, 0, 3000000};   // 6 ms
  counts.cell(0, kWrite) = {1, 1, 1000000};  // 2 ms
  EXPECT_EQ(counts.text(),
            "sysload: system calls of 42 (prog)\n"
            "% time     seconds  usecs/call     calls    errors syscall\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            " 75.00    0.006000        1500         4           read\n"
            " 25.00    0.002000        2000         1         1 write\n"
            "------ ----------- ----------- --------- --------- ----------------\n"
            "100.00    0.008000        1600         5         1 total\n");
}

std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (line.find('.') == 3 || line.find('.') == 2)
      names.push_back(line.substr(line.rfind(' ') + 1));
    at = end + 1;
  }
  return names;
}

TEST(CountTable, IsSortedAsItIsAsked) {
  Counts counts(1);
  counts.add(1, "p");
  counts.cell(0, kRead) = {1, 9, 30};
  counts.cell(0, kWrite) = {2, 1, 20};
  counts.cell(0, kOpenat) = {3, 5, 10};
  using Names = std::vector<std::string>;
  EXPECT_EQ(names_in(counts.text(CountOrder::kTime)), (Names{"read", "write", "openat", "total"}));
  EXPECT_EQ(names_in(counts.text(CountOrder::kCalls)), (Names{"openat", "write", "read", "total"}));
  EXPECT_EQ(names_in(counts.text(CountOrder::kErrors)),
            (Names{"read", "openat", "write", "total"}));
  EXPECT_EQ(names_in(counts.text(CountOrder::kName)), (Names{"openat", "read", "write", "total"}));
}

TEST(CountTable, AddsUpTheProcessesOfATree) {
  Counts counts(4);
  counts.add(1, "sh");
  counts.add(2, "ls");
  counts.cell(0, kRead).calls = 3;
  counts.cell(1, kRead).calls = 4;
  EXPECT_NE(counts.text().find("sysload: system calls of 1 (sh) and 1 more process\n"),
            std::string::npos);
  EXPECT_NE(counts.text().find("         7           read\n"), std::string::npos);
  EXPECT_EQ(counts.text().find("(ls)"), std::string::npos);
  const std::string each = counts.text(CountOrder::kTime, true);
  EXPECT_NE(each.find("sysload: system calls of 2 (ls)\n"), std::string::npos);
  EXPECT_NE(each.find("         4           read\n"), std::string::npos);
}

TEST(CountTable, SaysNothingOfNothing) {
  Counts counts(4);
  EXPECT_EQ(counts.text(), "");
}

// Every process of the tree can write to that memory.
TEST(CountTable, BelievesNoNumber) {
  Counts counts(2);
  counts.add(1, "a\033[2Jb\n");
  counts.header().used = 0xffffffff;
  counts.cell(0, kRead) = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
  counts.cell(1, kRead) = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
  std::memset(counts.processes()[1].name, 'x', sizeof(CountProcess::name));
  const std::string text = counts.text(CountOrder::kTime, true);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  EXPECT_NE(text.find("(a?[2Jb?)"), std::string::npos);
  counts.header().start_ticks = 1500;  // no tick has passed
  EXPECT_NE(counts.text(), "");
  counts.header().start_ticks = 99999;  // time runs backwards
  EXPECT_NE(counts.text(), "");
}

TEST(CallNames, AreFoundBothWays) {
  EXPECT_STREQ(call_name(kOpenat), "openat");
  EXPECT_EQ(call_number("openat"), kOpenat);
  EXPECT_EQ(call_name(100000), nullptr);
  EXPECT_EQ(call_number("opena"), -1);
  EXPECT_EQ(call_number(""), -1);
  for (uint64_t number = 0; number < 1024; ++number) {
    const char* name = call_name(number);
    if (name == nullptr) continue;
    EXPECT_EQ(call_number(name), static_cast<int64_t>(number));
  }
}

}  // namespace
}  // namespace sysrewrite
