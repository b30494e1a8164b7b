// Paths as text: tidied, compared, and matched with patterns.
#include "loader/hooks/deny_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <regex>

#include "tests/hooks/fake_api.h"
#include "tests/sanitized.h"

namespace sysrewrite::test {

namespace {

std::string normalized(std::string path) {
  deny::normalize_path(path.data());
  path.resize(std::strlen(path.data()));
  return path;
}

TEST(DenyPath, IsTidiedAsText) {
  EXPECT_EQ(normalized("/"), "/");
  EXPECT_EQ(normalized("//"), "/");
  EXPECT_EQ(normalized("/etc/passwd"), "/etc/passwd");
  EXPECT_EQ(normalized("//etc///passwd//"), "/etc/passwd");
  EXPECT_EQ(normalized("/./etc/./passwd/."), "/etc/passwd");
  EXPECT_EQ(normalized("/a/b/../c"), "/a/c");
  EXPECT_EQ(normalized("/a/b/.."), "/a");
  EXPECT_EQ(normalized("/a/.."), "/");
  EXPECT_EQ(normalized("/../../a"), "/a");
  EXPECT_EQ(normalized("/a/b/c/../../d"), "/a/d");
  EXPECT_EQ(normalized("/..."), "/...");
  EXPECT_EQ(normalized("/..a/.b/c."), "/..a/.b/c.");
}

TEST(DenyPath, IsTidiedAsTheStandardLibraryDoes) {
  std::mt19937 random(1);
  constexpr char kAlphabet[] = "/.ab";
  for (int round = 0; round < 20000; ++round) {
    std::string path = "/";
    for (auto i = random() % 12; i != 0; --i) path += kAlphabet[random() % 4];
    std::string expected = std::filesystem::path(path).lexically_normal().string();
    while (expected.size() > 1 && expected.back() == '/') expected.pop_back();
    while (expected.size() > 1 && expected[0] == '/' && expected[1] == '/') expected.erase(0, 1);
    EXPECT_EQ(normalized(path), expected) << path;
  }
}

TEST(DenyPath, IsUnderADirectoryByWholeNames) {
  EXPECT_TRUE(deny::is_under("/etc", "/etc"));
  EXPECT_TRUE(deny::is_under("/etc/passwd", "/etc"));
  EXPECT_FALSE(deny::is_under("/etcetera", "/etc"));
  EXPECT_FALSE(deny::is_under("/", "/etc"));
  EXPECT_TRUE(deny::is_under("/", "/"));
  EXPECT_TRUE(deny::is_under("/x", "/"));
}

TEST(DenyPath, IsLikeAPattern) {
  EXPECT_TRUE(deny::is_like("/tmp/a.c", "/tmp/*.c"));
  EXPECT_FALSE(deny::is_like("/tmp/x/a.c", "/tmp/*.c"));
  EXPECT_TRUE(deny::is_like("/tmp/x/a.c", "/tmp/**.c"));
  EXPECT_TRUE(deny::is_like("/tmp/x/y/a.c", "/tmp/**/*.c"));
  EXPECT_TRUE(deny::is_like("/tmp/a.c", "/tmp/**/*.c"));
  EXPECT_FALSE(deny::is_like("/tmpa.c", "/tmp/**/*.c"));
  EXPECT_FALSE(deny::is_like("/tmp/xa.c", "/tmp/x**/*.c"));
  EXPECT_TRUE(deny::is_like("/tmp/a/x.c", "**/x.c"));
  EXPECT_TRUE(deny::is_like("/bin/ls", "/**/bin/ls"));
  EXPECT_FALSE(deny::is_like("/xbin/ls", "/**/bin/ls"));
  EXPECT_TRUE(deny::is_like("/tmp/a", "/tmp/?"));
  EXPECT_FALSE(deny::is_like("/tmp/ab", "/tmp/?"));
  EXPECT_FALSE(deny::is_like("/tmp//", "/tmp/?"));
  EXPECT_TRUE(deny::is_like("/tmp/", "/tmp/*"));
  EXPECT_TRUE(deny::is_like("/a/b", "**"));
  EXPECT_FALSE(deny::is_like("/a/b", "*"));
  EXPECT_FALSE(deny::is_like("/a", ""));
}

// What a pattern means, for a matcher that somebody else wrote.
std::string expression_of(const std::string& pattern) {
  std::string expression;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const bool starts_name = at == 0 || pattern[at - 1] == '/';
    if (starts_name && pattern.compare(at, 3, "**/") == 0) {
      expression += "(?:.*/)?";
      at += 2;
    } else if (pattern.compare(at, 2, "**") == 0) {
      expression += ".*";
      ++at;
    } else {
      expression += pattern[at] == '*'   ? "[^/]*"
                    : pattern[at] == '?' ? "[^/]"
                                         : std::string(1, pattern[at]);
    }
  }
  return expression;
}

TEST(DenyPath, IsLikeAPatternAsARegularExpressionSays) {
  std::mt19937 random(2);
  const size_t rounds = 20000 / test::one_in(7);
  size_t matches = 0;
  for (size_t round = 0; round < rounds; ++round) {
    std::string path = "/", pattern = "/";
    for (auto i = random() % 7; i != 0; --i) path += "ab/"[random() % 3];
    for (auto i = random() % 6; i != 0; --i) {
      const char* const parts[] = {"a", "b", "/", "*", "?", "**", "**/"};
      const std::string part = parts[random() % 7];
      if (part[0] != '*' || pattern.back() != '*') pattern += part;  // "***" reads in two ways
    }
    const bool expected = std::regex_match(path, std::regex(expression_of(pattern)));
    matches += expected ? 1U : 0U;
    EXPECT_EQ(deny::is_like(path.c_str(), pattern.c_str()), expected) << path << " " << pattern;
  }
  EXPECT_GT(matches, rounds / 40);
}

TEST(DenyPath, IsMatchedInTimeWhateverItHolds) {
  const std::string path = "/" + std::string(4000, 'a');
  std::string pattern;
  for (int i = 0; i < 300; ++i) pattern += "**a";
  EXPECT_FALSE(deny::is_like(path.c_str(), (pattern + "b").c_str()));
  EXPECT_TRUE(deny::is_like(path.c_str(), pattern.c_str()));
}

class DenyCallPath : public testing::Test {
 protected:
  // What openat's path is, seen from a folder.
  deny::PathState read(int folder, const char* path, std::string* text) {
    sysload_call call{};
    call.argument[0] = static_cast<uint64_t>(folder);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    call.argument[1] = reinterpret_cast<uintptr_t>(path);
    deny::CallPath resolved;
    const deny::PathState state = resolved.read(&fake_.api, call, path_call(SYS_openat)->slot[0]);
    if (state == deny::PathState::kKnown) *text = resolved.text();
    return state;
  }
  FakeApi fake_;
};

TEST_F(DenyCallPath, IsRelativeToTheWorkingDirectoryOrADescriptor) {
  std::string text;
  EXPECT_EQ(read(AT_FDCWD, "/etc//passwd", &text), deny::PathState::kKnown);
  EXPECT_EQ(text, "/etc/passwd");
  EXPECT_EQ(read(AT_FDCWD, "a/../b", &text), deny::PathState::kKnown);
  EXPECT_EQ(text, (std::filesystem::current_path() / "b").string());
  const int folder = open("/usr/bin", O_RDONLY | O_DIRECTORY);
  const std::string expected =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(folder));
  EXPECT_EQ(read(folder, "../lib/x", &text), deny::PathState::kKnown);
  EXPECT_EQ(text, std::filesystem::path(expected).parent_path() / "lib/x");
  EXPECT_EQ(read(folder, "", &text), deny::PathState::kKnown);
  EXPECT_EQ(text, expected);
  close(folder);
}

TEST_F(DenyCallPath, IsUnknownWhereItsBaseIs) {
  std::string text;
  fake_.answer = [](uint64_t number, const uint64_t(&)[6]) -> std::optional<int64_t> {
    if (number == SYS_getcwd || number == SYS_readlink) return -ENOENT;
    return std::nullopt;
  };
  EXPECT_EQ(read(AT_FDCWD, "x", &text), deny::PathState::kUnknownBase);
  EXPECT_EQ(read(AT_FDCWD, "/x", &text), deny::PathState::kKnown);
  const int folder = open("/usr/bin", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(read(folder, "x", &text), deny::PathState::kUnknownBase);
  EXPECT_EQ(read(999999, "x", &text), deny::PathState::kInvalid);
  close(folder);
}

// fstat of a pipe is newfstatat(fd, "", ..., AT_EMPTY_PATH).
TEST_F(DenyCallPath, IsNoneWhereTheDescriptorIsNoDirectory) {
  std::string text;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(read(ends[0], "", &text), deny::PathState::kInvalid);
  EXPECT_EQ(read(ends[0], "x", &text), deny::PathState::kInvalid);
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(read(999999, "x", &text), deny::PathState::kInvalid);
  EXPECT_EQ(read(-1, "x", &text), deny::PathState::kInvalid);
}

// As fchdir would have it: the kernel calls it "gone (deleted)", and another may have that very
// name.
TEST_F(DenyCallPath, IsOfAnUnknownBaseWhereTheDirectoryIsRemoved) {
  std::string text;
  const std::string folder = testing::TempDir() + "deny-removed-" + std::to_string(getpid());
  std::filesystem::create_directories(folder + "/gone");
  std::filesystem::create_directories(folder + "/here (deleted)");
  const int gone = open((folder + "/gone").c_str(), O_PATH | O_DIRECTORY);
  const int here = open((folder + "/here (deleted)").c_str(), O_PATH | O_DIRECTORY);
  std::filesystem::remove(folder + "/gone");
  EXPECT_EQ(read(gone, "x", &text), deny::PathState::kUnknownBase);
  EXPECT_EQ(read(gone, "", &text), deny::PathState::kInvalid);
  EXPECT_EQ(read(here, "x", &text), deny::PathState::kKnown);
  EXPECT_EQ(text, folder + "/here (deleted)/x");
  std::filesystem::create_directories(folder + "/gone (deleted)");
  EXPECT_EQ(read(gone, "x", &text), deny::PathState::kUnknownBase);
  std::filesystem::remove_all(folder);
  close(gone);
  close(here);
}

TEST_F(DenyCallPath, IsInvalidWhereTheKernelWouldNotTakeIt) {
  std::string text;
  EXPECT_EQ(read(AT_FDCWD, nullptr, &text), deny::PathState::kInvalid);
  EXPECT_EQ(read(AT_FDCWD, std::string(4096, 'x').c_str(), &text), deny::PathState::kInvalid);
  EXPECT_EQ(read(AT_FDCWD, std::string(4095, 'x').c_str(), &text), deny::PathState::kKnown);
}

}  // namespace

}  // namespace sysrewrite::test
