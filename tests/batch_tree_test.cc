// The parts of `batch` that can be looked at without a command: directories that change meanwhile,
// names, and the bar.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "cli/batch/directory_cache.h"
#include "cli/batch/manifest.h"
#include "cli/batch/remove_tree.h"
#include "cli/batch/root_folder.h"
#include "cli/batch/tree_walk.h"
#include "cli/printable.h"
#include "cli/progress.h"

namespace sysrewrite {
namespace {

long open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

class BatchTree : public testing::Test {
 public:
  BatchTree() {
    char pattern[] = "/tmp/sysrewrite-batch-XXXXXX";
    path_ = mkdtemp(pattern);
    root_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~BatchTree() override { remove_tree(AT_FDCWD, path_); }

 protected:
  void folder(const char* name) { ASSERT_EQ(mkdirat(root_.get(), name, 0755), 0); }
  uint32_t find(const Manifest& manifest, const std::string& path) {
    for (uint32_t i = 0; i < manifest.entries.size(); ++i)
      if (manifest.path(i) == path) return i;
    ADD_FAILURE() << path;
    return 0;
  }
  Manifest walk() {
    auto manifest = walk_tree(root_.get(), path_, {});
    EXPECT_TRUE(manifest.ok());
    return std::move(*manifest);
  }

  std::string path_;
  Descriptor root_;
};

TEST_F(BatchTree, WalkListsParentsFirstAndNamesInOrder) {
  for (const char* name : {"b", "b/z", "a", "b/y", "a.b"}) folder(name);
  const Manifest manifest = walk();
  std::vector<std::string> paths;
  for (uint32_t i = 0; i < manifest.entries.size(); ++i) paths.push_back(manifest.path(i));
  EXPECT_EQ(paths, (std::vector<std::string>{".", "a", "a.b", "b", "b/y", "b/z"}));
}

TEST_F(BatchTree, LinkInPlaceOfDirectoryIsNotFollowed) {
  for (const char* name : {"in", "in/sub", "other", "other/sub"}) folder(name);
  const Manifest manifest = walk();
  ASSERT_EQ(renameat(root_.get(), "in", root_.get(), "away"), 0);
  ASSERT_EQ(symlinkat("other", root_.get(), "in"), 0);
  DirectoryCache cache(root_.get(), manifest, DirectoryCache::Check::kNothing);
  EXPECT_LT(cache.open(find(manifest, "in/sub")), 0);
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_GE(cache.open(find(manifest, "other/sub")), 0);
}

TEST_F(BatchTree, OtherDirectoryOfTheSameNameIsNotTaken) {
  for (const char* name : {"in", "in/sub", "other", "other/sub"}) folder(name);
  const Manifest manifest = walk();
  ASSERT_EQ(renameat(root_.get(), "in", root_.get(), "away"), 0);
  ASSERT_EQ(renameat(root_.get(), "other", root_.get(), "in"), 0);
  DirectoryCache cache(root_.get(), manifest, DirectoryCache::Check::kIdentity);
  EXPECT_LT(cache.open(find(manifest, "in/sub")), 0);
  EXPECT_EQ(errno, ESTALE);
}

class Root : public BatchTree {
 protected:
  void link(const std::string& text, const std::string& name) {
    ASSERT_EQ(symlinkat(text.c_str(), root_.get(), name.c_str()), 0);
  }
  // The names on the way to where a path leads, and whether something stands there.
  std::string way(const std::string& path) {
    const RootFolder root(root_.get());
    std::string text;
    for (const Place& place : root.chain(path)) text += place.name + ' ';
    return text + (root.open(path, O_PATH).valid() ? "is there" : "is not");
  }
};

TEST_F(Root, LinksLeadWhereTheyWouldAfterChroot) {
  for (const char* name : {"usr", "usr/lib", "usr/lib/x"}) folder(name);
  link("usr/lib", "lib");
  link("/usr/lib/x/", "absolute");
  link("../../../usr/lib", "usr/lib/up");
  link("../lib64/here", "usr/lib/first");
  link("/lib", "usr/lib64");
  link("./x", "usr/lib/here");
  EXPECT_EQ(way("/lib/x"), "x is there");
  EXPECT_EQ(way("lib//./x/"), "x is there");
  EXPECT_EQ(way("/lib"), "lib lib is there");
  EXPECT_EQ(way("/absolute"), "absolute x is there");
  EXPECT_EQ(way("/lib/up/up/x"), "x is there");
  EXPECT_EQ(way("/lib/first"), "first here x is there");
  EXPECT_EQ(way("/lib/none"), "none is not");
}

TEST_F(Root, NoPathLeadsOutOfIt) {
  folder("in");
  link("../../in", "in/up");
  link("/../..", "in/top");
  for (const char* path : {"/", "", ".", "..", "/..", "in/../..", "in/top/../..", "in/up/../../."})
    EXPECT_EQ(way(path), ". is there") << path;
  EXPECT_EQ(way("../../in/up"), "up in is there");
  EXPECT_EQ(way("in/top"), "top . is there");
  EXPECT_EQ(way("/../" + path_), "is not");
}

TEST_F(Root, WhatLeadsNowhereIsFoundOut) {
  folder("in");
  link("loop", "loop");
  link("in/b", "a");
  link("../a", "in/b");
  link("none/x", "dangling");
  for (const char* path : {"loop", "a", "loop/x", "in/b", "in/b/c", "dangling", "none/x", "in/x/y"})
    EXPECT_EQ(way(path), "is not") << path;
  link("in", "0");
  for (int i = 1; i < 45; ++i) link(std::to_string(i - 1), std::to_string(i));
  EXPECT_NE(way("39").find("1 0 in is there"), std::string::npos);
  EXPECT_EQ(way("40"), "is not");
  EXPECT_EQ(way("40/."), "is not");
}

TEST_F(BatchTree, DescriptorsOfADeepTreeAreFew) {
  Descriptor at(openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  constexpr uint32_t kDepth = 300;
  for (uint32_t level = 0; level < kDepth; ++level) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0755), 0);
    at.reset(openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  const Manifest manifest = walk();
  ASSERT_EQ(manifest.entries.size(), kDepth + 1);
  const auto before = open_descriptors();
  DirectoryCache cache(root_.get(), manifest, DirectoryCache::Check::kIdentity);
  for (uint32_t i = kDepth; i > 0; --i) EXPECT_GE(cache.open(i), 0);
  EXPECT_LE(open_descriptors() - before, static_cast<long>(DirectoryCache::kMostOpen));
}

TEST(BatchNames, ControlCharactersAndBrokenUtf8AreWrittenOut) {
  EXPECT_EQ(printable("plain name-1.so"), "plain name-1.so");
  EXPECT_EQ(printable("a\nb\\\x1b[31m\x7f"), "a\\nb\\\\\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  // C1 controls, an overlong slash, a surrogate, what ends too early.
  EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
}

TEST(BatchProgress, LineFitsItsTerminal) {
  EXPECT_EQ(progress_line(50'000'000, 100'000'000, 5, 10, 60),
            "[################                ]  50 %  5/10 files, 50 MB");
  for (unsigned columns = 0; columns < 200; ++columns)
    EXPECT_LE(progress_line(7, 9, 1, 3, columns).size(), columns);
  EXPECT_NE(progress_line(0, 0, 0, 0, 80).find("100 %"), std::string::npos);
}

}  // namespace
}  // namespace sysrewrite
