#include "loader/hooks/resolve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "loader/hooks/path_calls.h"
#include "tests/hooks/hosted_api.h"
#include "tests/hooks/temporary_tree.h"

namespace sysrewrite {
namespace {

int init_nothing(sysload_hook* /*hook*/) {
  return 0;
}

std::string added(const std::string& base, const std::string& name) {
  AbsolutePath path;
  path.begin(base.data(), static_cast<uint32_t>(base.size()));
  EXPECT_TRUE(path.add(name.data(), static_cast<uint32_t>(name.size())));
  EXPECT_EQ(path.size, strlen(path.text));
  return path.text;
}

class Resolve : public testing::Test {
 protected:
  std::string followed(const std::string& base, const std::string& name) {
    AbsolutePath path;
    path.begin(base.data(), static_cast<uint32_t>(base.size()));
    if (!path.add(name.data(), static_cast<uint32_t>(name.size()))) return "does not fit";
    good_ = follow_parents(*hook_.hook().api, path);
    EXPECT_EQ(path.size, strlen(path.text));
    return path.text;
  }

  TemporaryTree tree_;
  HostedHook hook_{init_nothing, ""};
  bool good_ = false;
};

TEST(AbsolutePath, JoinsAndDropsDotsAndSlashes) {
  EXPECT_EQ(added("/", "a"), "/a");
  EXPECT_EQ(added("/", "."), "/");
  EXPECT_EQ(added("/", "/"), "/");
  EXPECT_EQ(added("/x/y", "a"), "/x/y/a");
  EXPECT_EQ(added("/x/y", "./a//b/./c/"), "/x/y/a/b/c");
  EXPECT_EQ(added("/x/y", "/a"), "/a");
  EXPECT_EQ(added("/x/y", "///a/."), "/a");
  EXPECT_EQ(added("/x/y", "."), "/x/y");
  EXPECT_EQ(added("/x", "..."), "/x/...");
  EXPECT_EQ(added("/x", ".a/..b"), "/x/.a/..b");
}

TEST(AbsolutePath, KeepsParentsAndSaysSo) {
  AbsolutePath path;
  path.begin("/x", 2);
  ASSERT_TRUE(path.add("a/../b", 6));
  EXPECT_STREQ(path.text, "/x/a/../b");
  EXPECT_TRUE(path.has_parents);
  EXPECT_FALSE(path.wants_directory);
  ASSERT_TRUE(path.add("/c/", 3));
  EXPECT_STREQ(path.text, "/c");
  EXPECT_FALSE(path.has_parents);
  EXPECT_TRUE(path.wants_directory);
}

TEST(AbsolutePath, RefusesWhatDoesNotFit) {
  AbsolutePath path;
  const std::string half(kNameBytes - 1, 'a');
  path.begin("/", 1);
  EXPECT_TRUE(path.add(half.data(), kNameBytes - 1));
  EXPECT_TRUE(path.add(half.data(), kNameBytes - 3));
  EXPECT_FALSE(path.add("b", 1));
  EXPECT_LT(path.size, kPathBytes);
}

TEST(AbsolutePath, RemovesTheLastComponent) {
  AbsolutePath path;
  path.begin("/a/bc", 5);
  path.remove_last();
  EXPECT_STREQ(path.text, "/a");
  path.remove_last();
  EXPECT_STREQ(path.text, "/");
  path.remove_last();
  EXPECT_STREQ(path.text, "/");
}

TEST_F(Resolve, TakesTheParentOfADirectory) {
  tree_.directory("a/b");
  EXPECT_EQ(followed(tree_.root(), "a/b/../c"), tree_.path("a/c"));
  EXPECT_EQ(followed("/", "../../etc/../usr"), "/usr");
  EXPECT_EQ(followed("/", "nowhere/../usr"), "/usr");
}

TEST_F(Resolve, TakesTheParentOfALinksTarget) {
  tree_.directory("a/b/c");
  tree_.directory("d");
  tree_.link("relative", "a/b/c");
  tree_.link("absolute", tree_.path("a/b"));
  tree_.link("link", "d/../relative");
  EXPECT_EQ(followed(tree_.root(), "relative/../x"), tree_.path("a/b/x"));
  EXPECT_EQ(followed(tree_.root(), "absolute/../x"), tree_.path("a/x"));
  EXPECT_EQ(followed(tree_.root(), "link/../x"), tree_.path("a/b/x"));
  EXPECT_EQ(followed(tree_.root(), "absolute/c/../x"), tree_.path("absolute/x"));
}

TEST_F(Resolve, GivesUpInCirclesAndOverlongPaths) {
  tree_.link("a", "b");
  tree_.link("b", "a");
  followed(tree_.root(), "a/../x");
  EXPECT_FALSE(good_);
  tree_.link("long", std::string(4000, '/'));
  const std::string name = "long/../" + std::string(3000, 'x') + "/" + std::string(1000, 'y');
  followed(tree_.path(std::string(3000, 'z')), name);
}

// The witness is the kernel: where the name leads to a file, the followed one leads to the same.
TEST_F(Resolve, LeadsWhereTheKernelGoes) {
  std::mt19937 random(1);
  const std::string names[] = {"a", "b", "c", "d"};
  const auto name = [&] { return names[random() % 4]; };
  const auto some_path = [&](int longest) {
    std::string path = random() % 4 == 0 ? tree_.root() + "/" : "";
    for (int i = static_cast<int>(random() % static_cast<unsigned>(longest)); i >= 0; --i)
      path.append(random() % 3 == 0 ? ".." : name()).append(i == 0 ? "" : "/");
    return path;
  };
  for (const std::string& one : names)
    for (const std::string& two : names) tree_.directory(fmt::format("{}/{}", one, two));
  for (int i = 0; i < 60; ++i) {
    const std::string at = fmt::format("{}/{}/{}", name(), name(), name());
    std::error_code ignored;
    if (random() % 2 == 0) {
      std::filesystem::create_symlink(some_path(5), tree_.path(at), ignored);
    } else {
      std::filesystem::create_directory(tree_.path(at), ignored);
    }
  }
  int compared = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string path = some_path(7);
    struct stat by_kernel {};
    struct stat by_name {};
    // A link that is named last is meant itself, but not where ".." stands behind it.
    const bool follows = path.ends_with("..");
    const auto look = [&](const std::string& file, struct stat* into) {
      return follows ? stat(file.c_str(), into) : lstat(file.c_str(), into);
    };
    if (look(path, &by_kernel) != 0) continue;
    const std::string found = followed(tree_.root(), path);
    ASSERT_EQ(look(found, &by_name), 0) << path << " -> " << found;
    ASSERT_EQ(by_kernel.st_ino, by_name.st_ino) << path << " -> " << found;
    ASSERT_EQ(found.find("/.."), std::string::npos);
    ++compared;
  }
  EXPECT_GT(compared, 1000);
}

TEST_F(Resolve, NamesDescriptorsAndTheWorkingDirectory) {
  char name[kNameBytes];
  const int file = open(".", O_RDONLY | O_DIRECTORY);
  const sysload_api& api = *hook_.hook().api;
  const auto text = [&](int64_t size) {
    return size < 0 ? "" : std::string(name, static_cast<size_t>(size));
  };
  EXPECT_EQ(text(name_of_descriptor(api, file, name, sizeof(name))), tree_.root());
  EXPECT_EQ(text(name_of_descriptor(api, AT_FDCWD, name, sizeof(name))), tree_.root());
  close(file);
  EXPECT_EQ(name_of_descriptor(api, file, name, sizeof(name)), -ENOENT);
  EXPECT_EQ(name_of_descriptor(api, -1, name, sizeof(name)), -EBADF);
  tree_.directory("gone");
  ASSERT_EQ(chdir("gone"), 0);
  ASSERT_EQ(rmdir(tree_.path("gone").c_str()), 0);
  EXPECT_EQ(text(name_of_working_directory(api, name, sizeof(name))), tree_.path("gone"));
  ASSERT_EQ(chdir(tree_.root().c_str()), 0);
}

// Numbers and names of the header, by hand and not by the table.
TEST(PathCalls, KnowsTheArguments) {
  EXPECT_EQ(path_call(SYS_read), nullptr);
  EXPECT_EQ(path_call(511), nullptr);
  EXPECT_EQ(path_call(100000), nullptr);
  const auto names = [](uint64_t number, uint32_t i) {
    const PathCall* row = path_call(number);
    return row == nullptr ? 0x1ff : row->slot[i].name;
  };
  EXPECT_EQ(names(SYS_open, 0), 0);
  EXPECT_EQ(names(SYS_openat, 0), 1);
  EXPECT_EQ(names(SYS_openat2, 0), 1);
  EXPECT_EQ(names(SYS_rename, 1), 1);
  EXPECT_EQ(names(SYS_renameat2, 0), 1);
  EXPECT_EQ(names(SYS_renameat2, 1), 3);
  EXPECT_EQ(names(SYS_symlink, 0), 1);
  EXPECT_EQ(names(SYS_symlinkat, 0), 2);
  EXPECT_EQ(names(SYS_linkat, 1), 3);
  EXPECT_EQ(names(SYS_mount, 0), 1);
  const uint64_t binding[6] = {0, 0, 0, MS_BIND, 0, 0}, making[6] = {};
  EXPECT_EQ(path_call(SYS_mount, binding)->slot[1].name, 0);
  EXPECT_EQ(path_call(SYS_mount, making)->slot[1].use, PathUse::kNothing);
  EXPECT_EQ(path_call(SYS_umount2, binding)->slot[1].use, PathUse::kNothing);
  const uint64_t turning_on[6] = {static_cast<uint32_t>(QCMD(Q_QUOTAON, USRQUOTA))},
                 asking[6] = {static_cast<uint32_t>(QCMD(Q_GETQUOTA, USRQUOTA))};
  EXPECT_EQ(path_call(SYS_quotactl, turning_on)->slot[1].name, 3);
  EXPECT_EQ(path_call(SYS_quotactl, asking)->slot[1].use, PathUse::kNothing);
  EXPECT_EQ(names(SYS_inotify_add_watch, 0), 1);
  EXPECT_EQ(names(SYS_fanotify_mark, 0), 4);
  EXPECT_EQ(names(SYS_move_mount, 1), 3);
  EXPECT_EQ(names(SYS_statx | uint64_t{1} << 32, 0), 1);
}

// Without the flag, and with it.
TEST(PathCalls, KnowsWhichFlagNamesALink) {
  const auto follows = [](uint64_t number, uint32_t i, uint32_t argument, uint64_t flag) {
    const PathSlot& slot = path_call(number)->slot[i];
    EXPECT_EQ(slot.flags, argument) << number;
    return std::pair(follows_last(slot, ~flag, 0), follows_last(slot, flag, 0));
  };
  constexpr std::pair kNotWithIt(true, false), kOnlyWithIt(false, true);
  EXPECT_EQ(follows(SYS_newfstatat, 0, 3, AT_SYMLINK_NOFOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_statx, 0, 2, AT_SYMLINK_NOFOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_linkat, 0, 4, AT_SYMLINK_FOLLOW), kOnlyWithIt);
  EXPECT_EQ(follows(SYS_name_to_handle_at, 0, 4, AT_SYMLINK_FOLLOW), kOnlyWithIt);
  EXPECT_EQ(follows(SYS_umount2, 0, 1, UMOUNT_NOFOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_inotify_add_watch, 0, 2, IN_DONT_FOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_fanotify_mark, 0, 1, FAN_MARK_DONT_FOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_fspick, 0, 2, FSPICK_SYMLINK_NOFOLLOW), kNotWithIt);
  EXPECT_EQ(follows(SYS_move_mount, 0, 4, MOVE_MOUNT_F_SYMLINKS), kOnlyWithIt);
  EXPECT_EQ(follows(SYS_move_mount, 1, 4, MOVE_MOUNT_T_SYMLINKS), kOnlyWithIt);
}

}  // namespace
}  // namespace sysrewrite
