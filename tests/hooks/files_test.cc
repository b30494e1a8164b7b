// The `files` hook over real calls of this test's own process: what it says of each.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/quota.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tests/hooks/hosted_files.h"

namespace sysrewrite::test {

namespace {

TEST_F(Files, TellsReadingFromWriting) {
  tree_.file("f");
  tree_.directory("d");
  open_file("f", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "f")});
  open_file("f", O_WRONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("write", "f")});
  open_file("f", O_RDWR | O_TRUNC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("read-write", "f")});
  open_file("f", O_PATH);
  EXPECT_EQ(hook_.take_lines(), Lines{at("test", "f")});
  open_file("d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("test", "d")});
  open_file("d", O_RDWR | O_TMPFILE);
  EXPECT_EQ(hook_.take_lines(), Lines{});
}

TEST_F(Files, TellsCreatingFromWriting) {
  open_file("new", O_WRONLY | O_CREAT | O_TRUNC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("create", "new")});
  open_file("new", O_WRONLY | O_CREAT | O_TRUNC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("write", "new")});
  open_file("new", O_WRONLY | O_CREAT | O_EXCL);
  EXPECT_EQ(hook_.take_lines(), Lines{at("test", "new")});
  open_file("other", O_RDWR | O_CREAT | O_EXCL);
  EXPECT_EQ(hook_.take_lines(), Lines{at("create", "other")});
  close(static_cast<int>(hook_.call(SYS_creat, "third", 0600)));
  EXPECT_EQ(hook_.take_lines(), Lines{at("create", "third")});
}

TEST_F(Files, NamesWhatIsMadeBehindALink) {
  tree_.directory("root/d");
  tree_.link("link", "root/d/target");
  tree_.link("root/in", "/d/inner");
  open_file("link", O_WRONLY | O_CREAT);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("create", "root/d/target"), at("read", "link")}));
  open_file("link", O_WRONLY | O_CREAT);
  EXPECT_EQ(hook_.take_lines(), Lines{at("write", "link")});
  open_how how{};
  how.flags = O_WRONLY | O_CREAT;
  how.mode = 0600;
  how.resolve = RESOLVE_IN_ROOT;
  const int root = open("root", O_PATH | O_DIRECTORY);
  close(static_cast<int>(hook_.call(SYS_openat2, root, "in", &how, sizeof(how))));
  EXPECT_EQ(hook_.take_lines(), (Lines{at("create", "root/d/inner"), at("read", "root/in")}));
  close(static_cast<int>(hook_.call(SYS_openat2, root, "in", &how, sizeof(how))));
  EXPECT_EQ(hook_.take_lines(), Lines{at("write", "root/in")});
  close(root);
}

TEST_F(Files, SaysWhatIsMissing) {
  struct stat status {};
  tree_.file("f");
  open_file("none", O_RDONLY);
  hook_.call(SYS_stat, "none/deeper", &status);
  hook_.call(SYS_stat, "f/below", &status);
  hook_.call(SYS_stat, "f/", &status);
  hook_.call(SYS_access, "none2", F_OK);
  char target[16];
  hook_.call(SYS_readlink, "none3", target, sizeof(target));
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("missing", "f/"), at("missing", "f/below"), at("missing", "none"),
                   at("missing", "none/deeper"), at("missing", "none2"), at("missing", "none3")}));
}

TEST_F(Files, WritesEachRecordOnce) {
  tree_.file("f");
  for (int i = 0; i < 3; ++i) {
    open_file("f", O_RDONLY);
    open_file("./f", O_RDONLY);
    open_file(tree_.path("/f").c_str(), O_RDONLY);
  }
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "f")});
  HostedHook child(sysload_hook_init_files, "", "", &hook_);
  close(static_cast<int>(child.call(SYS_open, "f", O_RDONLY)));
  EXPECT_EQ(child.take_lines(), Lines{});
  close(static_cast<int>(child.call(SYS_open, "f", O_WRONLY)));
  EXPECT_EQ(child.take_lines(), Lines{at("write", "f")});
}

TEST_F(Files, TestsWithTheStatFamily) {
  struct stat status {};
  struct statx more {};
  tree_.file("f");
  tree_.link("l", "f");
  hook_.call(SYS_lstat, "l", &status);
  hook_.call(SYS_newfstatat, AT_FDCWD, "f", &status, 0);
  hook_.call(SYS_statx, AT_FDCWD, ".", 0, STATX_MODE, &more);
  hook_.call(SYS_faccessat2, AT_FDCWD, "/", F_OK, 0);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{"test /", "test " + tree_.root(), at("test", "f"), at("test", "l")}));
  // glibc's fstat.
  hook_.call(SYS_newfstatat, 0, "", &status, AT_EMPTY_PATH);
  hook_.call(SYS_statx, 0, "", AT_EMPTY_PATH, STATX_MODE, &more);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  char target[16];
  hook_.call(SYS_readlink, "l", target, sizeof(target));
  hook_.call(SYS_readlink, "f", target, sizeof(target));
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "l")});
}

TEST_F(Files, FollowsDescriptors) {
  tree_.directory("d/e");
  tree_.file("d/f");
  const int directory = open("d", O_RDONLY | O_DIRECTORY);
  close(static_cast<int>(hook_.call(SYS_openat, directory, "f", O_RDONLY)));
  hook_.call(SYS_mkdirat, directory, "new", 0755);
  hook_.call(SYS_unlinkat, directory, "e", AT_REMOVEDIR);
  hook_.call(SYS_renameat2, directory, "f", AT_FDCWD, "g", 0);
  hook_.call(SYS_fchmod, directory, 0700);
  hook_.call(SYS_fchdir, directory);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("change", "d"), at("create", "d/new"), at("delete", "d/e"), at("enter", "d"),
                   at("read", "d/f"), at("rename-from", "d/f"), at("rename-to", "g")}));
  open_file("x", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{at("missing", "d/x")});
  EXPECT_EQ(hook_.call(SYS_openat, 9999, "x", O_RDONLY), -EBADF);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  close(directory);
}

TEST_F(Files, ListsDirectories) {
  char names[4096];
  const int directory = open(".", O_RDONLY | O_DIRECTORY);
  EXPECT_GT(hook_.call(SYS_getdents64, directory, names, sizeof(names)), 0);
  EXPECT_EQ(hook_.take_lines(), Lines{"list " + tree_.root()});
  hook_.take_own_calls();
  EXPECT_EQ(hook_.call(SYS_getdents64, directory, names, sizeof(names)), 0);
  EXPECT_EQ(hook_.take_own_calls(), 0U);
  close(directory);
}

TEST_F(Files, CreatesDeletesLinksChanges) {
  tree_.file("f");
  hook_.call(SYS_mkdir, "d", 0755);
  hook_.call(SYS_mkdir, "d", 0755);
  hook_.call(SYS_symlink, "to nowhere", "s");
  hook_.call(SYS_link, "f", "h");
  hook_.call(SYS_mknod, "p", S_IFIFO | 0600, 0);
  hook_.call(SYS_chmod, "f", 0600);
  hook_.call(SYS_truncate, "f", 3);
  hook_.call(SYS_utimensat, AT_FDCWD, "h", nullptr, 0);
  hook_.call(SYS_unlink, "h");
  hook_.call(SYS_rmdir, "d");
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("change", "f"), at("change", "h"), at("create", "d"), at("create", "h"),
                   at("create", "p"), at("create", "s"), at("delete", "d"), at("delete", "h"),
                   at("link", "f"), at("test", "d"), at("write", "f")}));
}

TEST_F(Files, NamesWhichOfTwoIsMissing) {
  tree_.file("f");
  hook_.call(SYS_rename, "none", "other");
  hook_.call(SYS_link, "f", "nowhere/x");
  EXPECT_EQ(hook_.take_lines(), (Lines{at("missing", "none"), at("missing", "nowhere/x"),
                                       at("missing", "other"), at("test", "f")}));
}

TEST_F(Files, SeesSocketsWithNames) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "sock");
  const int server = socket(AF_UNIX, SOCK_DGRAM, 0), client = socket(AF_UNIX, SOCK_DGRAM, 0);
  EXPECT_EQ(hook_.call(SYS_bind, server, &address, sizeof(address)), 0);
  EXPECT_EQ(hook_.take_lines(), Lines{at("create", "sock")});
  EXPECT_EQ(hook_.call(SYS_connect, client, &address, 2 + 5), 0);
  EXPECT_EQ(hook_.take_lines(), Lines{at("connect", "sock")});
  strcpy(address.sun_path, "sock2");
  EXPECT_EQ(hook_.call(SYS_sendto, client, "x", 1, 0, &address, sizeof(address)), -ENOENT);
  EXPECT_EQ(hook_.take_lines(), Lines{at("missing", "sock2")});
  strcpy(address.sun_path, "sock3");
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof(address);
  EXPECT_EQ(hook_.call(SYS_sendmsg, client, &message, 0), -ENOENT);
  EXPECT_EQ(hook_.take_lines(), Lines{at("missing", "sock3")});
  memcpy(address.sun_path, "\0abstract", 9);
  hook_.call(SYS_connect, client, &address, 2 + 9);
  hook_.call(SYS_sendto, client, "x", 1, 0, nullptr, 0);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  close(server);
  close(client);
}

TEST_F(Files, SaysWhatIsExecutedBeforehand) {
  tree_.file("script", "#! /bin/sh -e\necho\n");
  chmod("script", 0755);
  // Made, it would not return.
  hook_.pretend(0, SYS_execve, "script", nullptr, nullptr);
  const Lines lines = hook_.take_lines();
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), at("execute", "script")));
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), "execute /bin/sh"));
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), "execute /lib64/ld-linux-x86-64.so.2"));
}

TEST_F(Files, SaysThatAProgramIsMissing) {
  EXPECT_EQ(hook_.call(SYS_execve, "none", nullptr, nullptr), -ENOENT);
  EXPECT_EQ(hook_.take_lines(), Lines{at("missing", "none")});
  tree_.file("not", "x");
  EXPECT_EQ(hook_.call(SYS_execve, "not", nullptr, nullptr), -EACCES);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "not")});
  tree_.file("script", "#!/nowhere/interpreter\n");
  chmod("script", 0755);
  EXPECT_EQ(hook_.call(SYS_execve, "script", nullptr, nullptr), -ENOENT);
  EXPECT_EQ(hook_.take_lines(), (Lines{"missing /nowhere/interpreter", at("test", "script")}));
}

TEST_F(Files, SaysThatNothingIsExecutedWhereTheKernelRefuses) {
  tree_.directory("directory");
  EXPECT_EQ(hook_.call(SYS_execve, "directory", nullptr, nullptr), -EACCES);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "directory")});
  const auto executable = [&](const char* name, const std::string& text) {
    tree_.file(name, text);
    chmod(name, 0755);
  };
  executable("empty", "");
  EXPECT_EQ(hook_.call(SYS_execve, "empty", nullptr, nullptr), -ENOEXEC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "empty")});
  executable("plain", std::string(100, 'x'));
  EXPECT_EQ(hook_.call(SYS_execve, "plain", nullptr, nullptr), -ENOEXEC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "plain")});
  executable("unnamed", "#! \n");
  EXPECT_EQ(hook_.call(SYS_execve, "unnamed", nullptr, nullptr), -ENOEXEC);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "unnamed")});
  // Of interpreters: one that may not be executed, behind one that may.
  tree_.file("forbidden", "#!/bin/sh\n");
  executable("inner", "#!" + tree_.path("forbidden") + "\n");
  executable("outer", "#!" + tree_.path("inner") + "\n");
  EXPECT_EQ(hook_.call(SYS_execve, "outer", nullptr, nullptr), -EACCES);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("failed", "forbidden"), at("failed", "outer"), at("test", "inner")}));
  executable("itself", "#!" + tree_.path("itself") + "\n");
  EXPECT_EQ(hook_.call(SYS_execve, "itself", nullptr, nullptr), -ELOOP);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("failed", "itself"), at("test", "itself")}));
  tree_.link("link", "/bin/true");
  EXPECT_EQ(hook_.call(SYS_execveat, AT_FDCWD, "link", nullptr, nullptr, AT_SYMLINK_NOFOLLOW),
            -ELOOP);
  EXPECT_EQ(hook_.take_lines(), Lines{at("failed", "link")});
}

// Whose real user may do nothing there.
TEST_F(Files, AsksForTheEffectiveUser) {
  tree_.directory("private");
  tree_.file("private/script", "#!/bin/sh\n");
  for (const char* name : {"private", "private/script"}) chmod(name, 0700);
  const uid_t before = getuid();
  ASSERT_EQ(setresuid(geteuid() == 0 ? 65534 : before, geteuid(), geteuid()), 0);
  open_file("private/new", O_CREAT | O_WRONLY);
  const Lines made = hook_.take_lines();
  hook_.pretend(0, SYS_execve, "private/script", nullptr, nullptr);
  const Lines executed = hook_.take_lines();
  ASSERT_EQ(setresuid(before, geteuid(), geteuid()), 0);
  EXPECT_EQ(made, Lines{at("create", "private/new")});
  EXPECT_TRUE(std::count(executed.begin(), executed.end(), "execute /bin/sh"));
}

TEST_F(Files, NamesTheProgramItself) {
  tree_.file("prog", "#!/bin/sh\n");
  chmod("prog", 0755);
  HostedHook hook(sysload_hook_init_files, "", "prog");
  const Lines lines = hook.take_lines();
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), at("execute", "prog")));
}

TEST_F(Files, ReadsOpenat2) {
  tree_.directory("root/etc");
  tree_.file("root/etc/f");
  open_how how{};
  how.flags = O_RDONLY;
  how.resolve = RESOLVE_IN_ROOT;
  const int directory = open("root", O_RDONLY | O_DIRECTORY);
  const int64_t file = hook_.call(SYS_openat2, directory, "/etc/f", &how, sizeof(how));
  ASSERT_GE(file, 0);
  close(static_cast<int>(file));
  EXPECT_EQ(hook_.take_lines(), Lines{at("read", "root/etc/f")});
  close(directory);
}

TEST_F(Files, SurvivesBadPointers) {
  const uint64_t nowhere = 8;
  EXPECT_EQ(hook_.call(SYS_open, nowhere, O_CREAT), -EFAULT);
  EXPECT_EQ(hook_.call(SYS_execve, nowhere, nullptr, nullptr), -EFAULT);
  EXPECT_EQ(hook_.call(SYS_connect, 0, nowhere, 100), -EFAULT);
  hook_.call(SYS_sendmsg, 0, nowhere, 0);
  EXPECT_EQ(hook_.call(SYS_openat2, AT_FDCWD, "x", nowhere, 24), -EFAULT);
  hook_.call(SYS_rename, nowhere, nowhere);
  const std::string overlong(5000, 'a');
  EXPECT_EQ(hook_.call(SYS_open, overlong.c_str(), O_RDONLY), -ENAMETOOLONG);
  EXPECT_EQ(hook_.take_lines(), Lines{});
}

TEST_F(Files, SeesBothEndsOfAMountThatHasTwo) {
  tree_.directory("from");
  tree_.directory("to");
  hook_.pretend(0, SYS_mount, "from", "to", nullptr, MS_BIND, nullptr);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("mount", "from"), at("mount", "to")}));
  hook_.pretend(0, SYS_mount, "moved", "to", nullptr, MS_MOVE, nullptr);
  EXPECT_EQ(hook_.take_lines(), Lines{at("mount", "moved")});
  hook_.pretend(0, SYS_mount, "tmpfs", "to", "tmpfs", 0, nullptr);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  hook_.pretend(-ENOENT, SYS_mount, "none", "to", nullptr, MS_BIND | MS_REC, nullptr);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("missing", "none"), at("test", "to")}));
}

TEST_F(Files, SeesTheDeviceOfAMount) {
  tree_.directory("to");
  tree_.file("word");
  ASSERT_EQ(mknod("device", S_IFBLK | 0600, makedev(7, 250)), 0);
  const std::string device = tree_.path("device"), word = tree_.path("word");
  hook_.pretend(0, SYS_mount, device.c_str(), "to", "ext4", MS_RDONLY, nullptr);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("mount", "device"), at("mount", "to")}));
  hook_.pretend(0, SYS_mount, word.c_str(), "to", "tmpfs", 0, nullptr);
  hook_.pretend(0, SYS_mount, device.c_str(), "to", nullptr, MS_REMOUNT, nullptr);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  hook_.pretend(-ENXIO, SYS_mount, device.c_str(), "to", "ext4", 0, nullptr);
  hook_.pretend(-ENOTBLK, SYS_mount, word.c_str(), "to", "ext4", 0, nullptr);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("failed", "device"), at("failed", "to"), at("failed", "word")}));
  hook_.pretend(-ENOENT, SYS_mount, tree_.path("none").c_str(), "to", "ext4", 0, nullptr);
  hook_.pretend(-ENOENT, SYS_mount, "tmpfs", "nowhere", "tmpfs", 0, nullptr);
  EXPECT_EQ(hook_.take_lines(),
            (Lines{at("missing", "none"), at("missing", "nowhere"), at("test", "to")}));
}

TEST_F(Files, SeesTheFileThatQuotaIsIn) {
  tree_.file("device");
  const uint64_t on = static_cast<uint32_t>(QCMD(Q_QUOTAON, USRQUOTA)),
                 off = static_cast<uint32_t>(QCMD(Q_QUOTAOFF, USRQUOTA));
  hook_.pretend(0, SYS_quotactl, uint64_t{7} << 32 | on, "device", 1, "quota");
  EXPECT_EQ(hook_.take_lines(), (Lines{at("test", "device"), at("write", "quota")}));
  hook_.pretend(0, SYS_quotactl, off, "device", 1, "other");
  EXPECT_EQ(hook_.take_lines(), Lines{});
}

TEST_F(Files, SeesTheExecutionOfAFileThatWasRemoved) {
  tree_.file("script", "#!/bin/sh\n");
  chmod("script", 0755);
  const int file = open("script", O_RDONLY);
  unlink("script");
  hook_.pretend(0, SYS_execveat, file, "", nullptr, nullptr, AT_EMPTY_PATH);
  const Lines lines = hook_.take_lines();
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), at("execute", "script")));
  EXPECT_TRUE(std::count(lines.begin(), lines.end(), "execute /bin/sh"));
  hook_.pretend(-EACCES, SYS_execveat, file, "", nullptr, nullptr, AT_EMPTY_PATH);
  const Lines refused = hook_.take_lines();
  EXPECT_TRUE(std::count(refused.begin(), refused.end(), at("failed", "script")));
  close(file);
}

TEST_F(Files, SaysThatARingIsNotSeen) {
  hook_.pretend(-EPERM, SYS_io_uring_setup, 1, nullptr);
  EXPECT_EQ(hook_.take_output(), "");
  hook_.pretend(5, SYS_io_uring_setup, 1, nullptr);
  hook_.pretend(5, SYS_io_uring_setup, 1, nullptr);
  EXPECT_EQ(hook_.take_output(), "incomplete io_uring: what is done through a ring is not seen\n");
}

TEST_F(Files, CallsNothingFailedThatTheFileDidNotFail) {
  tree_.file("f");
  struct file_handle handle {};
  int mount = 0;
  EXPECT_EQ(hook_.call(SYS_name_to_handle_at, AT_FDCWD, "f", &handle, &mount, 0), -EOVERFLOW);
  EXPECT_EQ(hook_.take_lines(), Lines{at("test", "f")});
  hook_.pretend(-EINTR, SYS_open, "fifo", O_RDONLY);
  EXPECT_EQ(hook_.take_lines(), Lines{});
  open_how how{};
  how.resolve = RESOLVE_CACHED;
  hook_.pretend(-EAGAIN, SYS_openat2, AT_FDCWD, "f", &how, sizeof(how));
  EXPECT_EQ(hook_.take_lines(), Lines{});
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "sock");
  hook_.pretend(-EINTR, SYS_connect, 0, &address, sizeof(address));
  EXPECT_EQ(hook_.take_lines(), Lines{at("connect", "sock")});
}

TEST_F(Files, SaysThatPathsMayBeThoseOfOtherMounts) {
  const int network = open("/proc/self/ns/net", O_RDONLY);
  const int mounts = open("/proc/self/ns/mnt", O_RDONLY);
  hook_.pretend(0, SYS_setns, network, CLONE_NEWNET);
  hook_.pretend(0, SYS_setns, network, uint64_t{7} << 32);
  hook_.pretend(0, SYS_setns, network, CLONE_NEWUSER | CLONE_NEWPID);
  EXPECT_EQ(hook_.take_output(), "");
  const std::string line = "incomplete setns: paths may be those of another mount namespace\n";
  hook_.pretend(0, SYS_setns, mounts, 0);
  EXPECT_EQ(hook_.take_output(), line);
  HostedHook other(sysload_hook_init_files, "");
  other.pretend(0, SYS_setns, mounts, CLONE_NEWNS | CLONE_NEWNET);
  EXPECT_EQ(other.take_output(), line);
  close(network);
  close(mounts);
}

TEST_F(Files, IgnoresCallsThatAreMadeAnew) {
  hook_.pretend(SYSLOAD_RESTARTED, SYS_open, "x", O_RDONLY);
  hook_.pretend(-EMFILE, SYS_open, "x", O_RDONLY);
  EXPECT_EQ(hook_.take_output(), "");
}

TEST_F(Files, SaysNothingOfEmptyNamesThatAreRefused) {
  char target[16];
  hook_.call(SYS_readlinkat, AT_FDCWD, "", target, sizeof(target));
  hook_.call(SYS_utimensat, AT_FDCWD, "", nullptr, 0);
  hook_.call(SYS_futimesat, AT_FDCWD, "", nullptr);
  hook_.call(SYS_chdir, "");
  EXPECT_EQ(hook_.take_lines(), Lines{});
}

TEST_F(Files, SaysNothingOfFilesThatNeverHadAName) {
  const int file = open(".", O_TMPFILE | O_RDWR, 0600);
  ASSERT_GE(file, 0);
  hook_.call(SYS_fchmod, file, 0644);
  hook_.call(SYS_linkat, file, "", AT_FDCWD, "linked", AT_EMPTY_PATH);
  const Lines lines = hook_.take_lines();
  EXPECT_TRUE(lines == Lines{at("create", "linked")} || lines == Lines{at("missing", "linked")});
  close(file);
  tree_.file("#12 (deleted)");
  tree_.file("was");
  const int named = open("#12 (deleted)", O_RDWR), removed = open("was", O_RDWR);
  unlink("was");
  hook_.call(SYS_fchmod, named, 0600);
  hook_.call(SYS_fchmod, removed, 0600);
  EXPECT_EQ(hook_.take_lines(), (Lines{at("change", "#12 (deleted)"), at("change", "was")}));
  close(named);
  close(removed);
}

}  // namespace

}  // namespace sysrewrite::test
