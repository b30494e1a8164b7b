// Where the `sysroot` hook goes on from: working directories and descriptors, also of what was
// removed.
#include "tests/hooks/hosted_sysroot.h"

namespace sysrewrite {
namespace {

TEST_F(SysrootHook, GoesOnFromTheWorkingDirectory) {
  ASSERT_EQ(enter("/usr/lib"), 0);
  EXPECT_EQ(read("l"), "library");
  EXPECT_EQ(read("../../etc/name"), "sysroot");
  EXPECT_EQ(read("../../../../../etc/name"), "sysroot") << "the top's parent is the top";
  EXPECT_EQ(read("../.." + tree_.path("there/f")), "host") << "by a name that the host has not";
  ASSERT_EQ(enter(".."), 0);
  EXPECT_EQ(working_directory(), "/usr");
  ASSERT_EQ(enter("../../.."), 0);
  EXPECT_EQ(working_directory(), "/");
  ASSERT_EQ(enter(tree_.path("there")), 0);
  EXPECT_EQ(read("f"), "host");
  EXPECT_EQ(working_directory(), tree_.path("there"));
}

TEST_F(SysrootHook, GoesOnFromDescriptors) {
  const auto inside = static_cast<int>(hook_->call(SYS_open, "/usr", O_RDONLY | O_DIRECTORY));
  ASSERT_GE(inside, 0);
  EXPECT_EQ(read("lib/l", O_RDONLY, inside), "library");
  EXPECT_EQ(read("../../../etc/name", O_RDONLY, inside), "sysroot");
  EXPECT_EQ(read("/etc/name", O_RDONLY, inside), "sysroot");
  EXPECT_EQ(hook_->call(SYS_mkdirat, inside, "new", 0755), 0);
  EXPECT_TRUE(on_host("root/usr/new"));
  EXPECT_EQ(read("x", O_RDONLY, 9999), "EBADF");
  close(inside);
}

TEST_F(SysrootHook, LeadsToNothingOutsideFromADirectoryThatWasRemoved) {
  tree_.directory("root/a/b");
  tree_.file("outside", "host");
  ASSERT_EQ(enter("/a/b"), 0);
  ASSERT_EQ(rmdir(tree_.path("root/a/b").c_str()), 0);
  EXPECT_EQ(working_directory(), "ENOENT");
  EXPECT_EQ(read("../../../outside"), "ENOENT");
  EXPECT_EQ(read("../../../../../../../../etc/name"), "sysroot");
  EXPECT_EQ(read(".//./../../etc/name"), "sysroot");
  EXPECT_EQ(read("../../../escaped", O_CREAT | O_RDWR), "");
  EXPECT_TRUE(on_host("root/escaped"));
  EXPECT_FALSE(on_host("escaped"));
  EXPECT_EQ(read("x"), "ENOENT");
  EXPECT_EQ(read("x/../../../../outside"), "ENOENT");
  EXPECT_EQ(hook_->call(SYS_mkdir, "new", 0755), -ENOENT);
  struct stat status {};
  EXPECT_EQ(hook_->call(SYS_stat, ".", &status), 0);
  EXPECT_EQ(enter(".."), 0);
  EXPECT_EQ(working_directory(), "/a");
}

TEST_F(SysrootHook, GoesOnFromDescriptorsOfWhatWasRemoved) {
  tree_.directory("root/a/b");
  tree_.file("root/f");
  tree_.file("outside", "host");
  const int directory = open("root/a/b", O_RDONLY), file = open("root/f", O_RDONLY);
  rmdir("root/a/b");
  unlink("root/f");
  struct stat parent {
  }, found{};
  const auto look = [&](int at, const char* name) {
    return hook_->call(SYS_newfstatat, at, name, &found, 0);
  };
  EXPECT_EQ(look(directory, "."), 0);
  EXPECT_EQ(look(directory, ".."), 0);
  ASSERT_EQ(stat("root/a", &parent), 0);
  EXPECT_EQ(found.st_ino, parent.st_ino);
  EXPECT_EQ(look(directory, "x"), -ENOENT);
  EXPECT_EQ(read("../../../outside", O_RDONLY, directory), "ENOENT");
  EXPECT_EQ(read("../../../etc/name", O_RDONLY, directory), "sysroot");
  rmdir("root/a");
  EXPECT_EQ(look(directory, ".."), 0) << "removed as well";
  EXPECT_EQ(look(directory, "../x"), -ENOENT);
  EXPECT_EQ(look(directory, "../../a"), -ENOENT);
  EXPECT_EQ(look(directory, "../../../outside"), -ENOENT);
  EXPECT_EQ(look(directory, "../../../../../there"), -ENOENT);
  EXPECT_EQ(read("../../etc/name", O_RDONLY, directory), "sysroot");
  EXPECT_EQ(look(file, ".."), -ENOTDIR);
  EXPECT_EQ(look(file, "."), -ENOTDIR);
  close(directory);
  close(file);
}

}  // namespace
}  // namespace sysrewrite
