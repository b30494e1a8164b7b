// Where the `files` hook takes names from: working directories, descriptors and roots, of this
// process and of others.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "tests/hooks/hosted_files.h"

namespace sysrewrite::test {

namespace {

TEST_F(Files, KnowsTheWorkingDirectoryThroughItsChanges) {
  tree_.directory("a/b");
  open_file("x", O_RDONLY);
  hook_.take_own_calls();
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_own_calls(), 0U) << "the working directory is remembered";
  hook_.call(SYS_chdir, "a");
  open_file("x", O_RDONLY);
  hook_.call(SYS_chdir, "b");
  open_file("x", O_RDONLY);
  hook_.call(SYS_rename, tree_.path("a").c_str(), tree_.path("z").c_str());
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("enter", "a"), at("enter", "a/b"), at("missing", "a/b/x"),
                   at("missing", "a/x"), at("missing", "x"), at("missing", "y"),
                   at("missing", "z/b/y"), at("rename-from", "a"), at("rename-to", "z")}));
}

TEST_F(Files, AsksAboutParentsOnce) {
  tree_.directory("a/b");
  tree_.link("l", "a/b");
  tree_.file("a/f");
  open_file("l/../f", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "a/f")});
  hook_.take_own_calls();
  open_file("l/../f", O_RDONLY);
  EXPECT_EQ(hook_.take_own_calls(), 0U);
  open_file("l/../none", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("missing", "a/none")});
}

TEST_F(Files, AsksNothingForAbsolutePaths) {
  tree_.file("f");
  hook_.take_own_calls();
  open_file(tree_.path("f").c_str(), O_RDONLY);
  EXPECT_EQ(hook_.take_own_calls(), 0U);
}

// What a child of vfork does: it shares the memory, and has a working directory of its own.
int enter_and_open(void* given) {
  auto& hook = *static_cast<HostedHook*>(given);
  // As sysload does for it: a block of its own.
  sysload_thread& thread = hook.thread();
  alignas(16) char memory[SYSLOAD_THREAD_MEMORY] = {};
  void* const parents = std::exchange(thread.data, memory);
  hook.hook().thread_started(&hook.hook(), &thread);
  hook.call(SYS_chdir, "a");
  hook.call(SYS_open, "y", O_RDONLY);
  thread.data = parents;
  return 0;
}

TEST_F(Files, SeesThatVforkedChildrenHaveTheirOwnDirectory) {
  tree_.directory("a");
  open_file("x", O_RDONLY);
  std::vector<char> stack(1 << 20);
  const int child =
      clone(enter_and_open, &stack.back() - 63, CLONE_VM | CLONE_VFORK | SIGCHLD, &hook_);
  ASSERT_GT(child, 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("enter", "a"), at("missing", "a/y"), at("missing", "x"),
                                       at("missing", "y")}));
}

TEST_F(Files, ForgetsTheDirectoryInForkedChildren) {
  tree_.directory("a");
  open_file("x", O_RDONLY);
  hook_.hook().forked(&hook_.hook(), &hook_.thread());
  ASSERT_EQ(chdir("a"), 0);
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("missing", "a/y"), at("missing", "x")}));
}

TEST_F(Files, RemembersNoDirectoryThatOthersChange) {
  open_file("x", O_RDONLY);
  hook_.pretend(4711, SYS_clone, CLONE_FS | SIGCHLD);
  hook_.take_own_calls();
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_own_calls(), 1U);
}

TEST_F(Files, SeesThatThreadsShareTheDirectoryOfTheOneThatMadeThem) {
  open_file("x", O_RDONLY);
  hook_.call(SYS_unshare, CLONE_FS);
  hook_.pretend(4711, SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD);
  alignas(16) char memory[SYSLOAD_THREAD_MEMORY] = {};
  void* const makers = std::exchange(hook_.thread().data, memory);
  hook_.hook().thread_started(&hook_.hook(), &hook_.thread());
  hook_.take_own_calls();
  open_file("y", O_RDONLY);
  EXPECT_EQ(hook_.take_own_calls(), 1U) << "the kernel is asked";
  hook_.thread().data = makers;
}

TEST_F(Files, StaysBelowTheRootOfTheCall) {
  tree_.directory("root/etc");
  tree_.directory("etc");
  tree_.file("etc/passwd");
  tree_.link("root/up", "/etc");
  open_how how{};
  how.flags = O_RDWR | O_CREAT;
  how.mode = 0600;
  how.resolve = RESOLVE_IN_ROOT;
  const int directory = open("root", O_RDONLY | O_DIRECTORY);
  const auto opened = [&](const char* name) {
    const int64_t file = hook_.call(SYS_openat2, directory, name, &how, sizeof(how));
    EXPECT_GE(file, 0) << name;
    close(static_cast<int>(file));
    return hook_.take_lines();
  };
  // It is there outside, and not inside.
  EXPECT_EQ(opened("/etc/passwd"), Lines{at("create", "root/etc/passwd")});
  EXPECT_EQ(opened("../etc/passwd"), Lines{at("read-write", "root/etc/passwd")});
  how.flags = O_RDONLY;
  how.mode = 0;
  EXPECT_EQ(opened("../../etc/passwd"), Lines{at("read", "root/etc/passwd")});
  EXPECT_EQ(opened("up/../etc"), Lines{at("read", "root/etc")});
  how.flags = O_PATH;
  EXPECT_EQ(opened("/.."), Lines{at("test", "root")});
  // The same name without a root of its own is another file.
  hook_.call(SYS_openat, directory, "../etc/passwd", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "etc/passwd")});
  close(directory);
}

TEST_F(Files, NamesWhatIsInsideAChangedRoot) {
  tree_.directory("jail/sub");
  hook_.pretend(0, SYS_chroot, "jail");
  hook_.call(SYS_access, "/nowhere/at/all", F_OK);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("enter", "jail"), at("missing", "jail/nowhere/at/all")}));
  // What is executed there starts anew, and finds "/" in the tree's memory.
  HostedHook executed(sysload_hook_init_files, "", "", &hook_);
  executed.call(SYS_access, "/nowhere/either", F_OK);
  EXPECT_EQ(executed.take_lines(), Lines{at("missing", "jail/nowhere/either")});
}

// What a child of the test sees there, which may change its root directory.
void expect_in_child(Lines expected, void (*act)(HostedHook&)) {
  std::sort(expected.begin(), expected.end());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    HostedHook hook(sysload_hook_init_files, "");
    if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0) _exit(2);
    act(hook);
    const Lines found = hook.take_lines();
    if (found == expected) _exit(0);
    for (const std::string& line : found) fprintf(stderr, "  %s\n", line.c_str());
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << "expected:\n" << testing::PrintToString(expected);
}

TEST_F(Files, NamesRootsWithinRoots) {
  tree_.directory("jail/inner");
  const Lines expected = {at("enter", "jail"), at("enter", "jail/inner"),
                          at("missing", "jail/inner/nested"), at("test", "jail/inner")};
  const auto act = [](HostedHook& hook) {
    struct stat status {};
    hook.call(SYS_chroot, "jail");
    hook.call(SYS_chdir, "/");
    hook.call(SYS_chroot, "/inner/../inner");
    hook.call(SYS_chdir, "/");
    hook.call(SYS_stat, "/nested", &status);
    hook.call(SYS_stat, ".", &status);
  };
  expect_in_child(expected, act);
  // With a root directory of the thread's own, as unshare gives it.
  expect_in_child(expected, [](HostedHook& hook) {
    struct stat status {};
    hook.call(SYS_unshare, CLONE_FS);
    hook.call(SYS_chroot, "jail");
    hook.call(SYS_chdir, "/");
    hook.call(SYS_chroot, "/inner/../inner");
    hook.call(SYS_chdir, "/");
    hook.call(SYS_stat, "/nested", &status);
    hook.call(SYS_stat, ".", &status);
  });
}

// /proc has to be in there for names of descriptors.
TEST_F(Files, TellsWhatIsOutsideAChangedRoot) {
  tree_.directory("jail/proc");
  tree_.directory("jail/inside");
  tree_.directory("beside");
  expect_in_child(
      {at("enter", "jail"), at("missing", "beside/relative"), at("missing", "beside/descriptor"),
       at("missing", "parent"), at("missing", "jail/inside/descriptor"), at("mount", "jail/proc"),
       "mount /proc"},
      [](HostedHook& hook) {
        if (unshare(CLONE_NEWNS) != 0) _exit(3);
        hook.call(SYS_mount, "/proc", "jail/proc", nullptr, MS_BIND | MS_REC, nullptr);
        const int outside = open("beside", O_PATH | O_DIRECTORY);
        const int inside = open("jail/inside", O_PATH | O_DIRECTORY);
        if (chdir("beside") != 0) _exit(4);
        hook.hook().forked(&hook.hook(), &hook.thread());
        hook.call(SYS_chroot, "../jail");
        struct stat status {};
        hook.call(SYS_stat, "relative", &status);
        hook.call(SYS_newfstatat, outside, "descriptor", &status, 0);
        hook.call(SYS_newfstatat, outside, "../parent", &status, 0);
        hook.call(SYS_newfstatat, inside, "descriptor", &status, 0);
      });
}

TEST_F(Files, KeepsNamesThatGoInCircles) {
  struct stat status {};
  tree_.link("loop", "loop");
  EXPECT_EQ(hook_.call(SYS_stat, "loop/../x", &status), -ELOOP);
  EXPECT_EQ(hook_.call(SYS_stat, "loop/../x", &status), -ELOOP);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "loop/../x")});
}

// Where the kernel itself has no name for the directory.
TEST_F(Files, SaysThatAFolderHasTooLongAName) {
  const std::string name(250, 'd');
  for (int i = 0; i < 18; ++i) {
    ASSERT_EQ(mkdir(name.c_str(), 0700), 0);
    ASSERT_EQ(chdir(name.c_str()), 0);
  }
  const std::string line =
      "incomplete names of directories longer than 4095 bytes, and what is relative to them, are "
      "not "
      "known";
  HostedHook hook(sysload_hook_init_files, "");
  hook.call(SYS_open, "relative", O_RDONLY);
  EXPECT_EQ(hook.take_lines(), Lines{line});
  const int folder = open(".", O_PATH | O_DIRECTORY);
  HostedHook other(sysload_hook_init_files, "");
  other.call(SYS_openat, folder, "relative", O_RDONLY);
  EXPECT_EQ(other.take_lines(), Lines{line});
  close(folder);
  ASSERT_EQ(chdir(tree_.root().c_str()), 0);
}

}  // namespace

}  // namespace sysrewrite::test
