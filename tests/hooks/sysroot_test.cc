// The `sysroot` hook over real calls of this test's own process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tests/hooks/hosted_sysroot.h"

namespace sysrewrite {
namespace {

TEST_F(SysrootHook, CoversTheHost) {
  tree_.directory("root" + tree_.root() + "/there");
  tree_.file("root" + tree_.path("there/f"), "both");
  EXPECT_EQ(read("/etc/name"), "sysroot");
  EXPECT_EQ(read("//etc/./name"), "sysroot");
  EXPECT_EQ(read(tree_.path("there/f")), "both");
}

TEST_F(SysrootHook, FallsBackToTheHost) {
  EXPECT_EQ(read(tree_.path("there/f")), "host") << "nothing on the way is in the sysroot";
  EXPECT_EQ(read("/etc/hostname-that-is-nowhere"), "ENOENT");
  EXPECT_EQ(read("/proc/self/comm").empty(), false) << "/proc is there, and empty";
  tree_.directory("root" + tree_.root());
  EXPECT_EQ(read(tree_.path("there/f")), "host") << "part of the way is in the sysroot";
  tree_.directory("root" + tree_.path("there"));
  EXPECT_EQ(read(tree_.path("there/f")), "host") << "all but the last is in the sysroot";
}

TEST_F(SysrootHook, KeepsLinksAndParentsInside) {
  EXPECT_EQ(read("/lib/l"), "library");
  EXPECT_EQ(read("/abs/l"), "library");
  EXPECT_EQ(read("/up"), "sysroot");
  EXPECT_EQ(read("/../../etc/name"), "sysroot");
  EXPECT_EQ(read("/usr/lib/../../../etc/name"), "sysroot");
  EXPECT_EQ(read("/lib/../lib/l"), "library") << "the parent is that of the link's target";
  EXPECT_EQ(read("/etc/name/x"), "ENOTDIR");
  EXPECT_EQ(read("/etc/name/"), "ENOTDIR");
  EXPECT_EQ(read("/etc/name/x/etc/passwd"), "ENOTDIR");
}

TEST_F(SysrootHook, KnowsThatFilesHaveNoParent) {
  tree_.link("root/file", "etc/name");
  tree_.link("root/through", "/etc/name/../name");
  EXPECT_EQ(read("/etc/name/../name"), "ENOTDIR");
  EXPECT_EQ(read("/etc/name/.."), "ENOTDIR");
  EXPECT_EQ(read("/etc/name/./../name"), "ENOTDIR");
  EXPECT_EQ(read("/file/../name"), "ENOTDIR");
  EXPECT_EQ(read("/through"), "ENOTDIR");
  EXPECT_EQ(read("/etc/name/../new", O_CREAT | O_RDWR), "ENOTDIR");
  EXPECT_EQ(hook_->call(SYS_mkdir, "/etc/name/../new", 0755), -ENOTDIR);
  EXPECT_EQ(hook_->call(SYS_rename, "/usr", "/etc/name/../new"), -ENOTDIR);
  EXPECT_FALSE(on_host("root/etc/new"));
  EXPECT_EQ(read("/etc/../etc/name"), "sysroot");
  EXPECT_EQ(read("/etc/none/../name"), "ENOENT");
}

TEST_F(SysrootHook, FollowsNoLinkForOpenat2ThatWantsNone) {
  open_how how{};
  how.resolve = RESOLVE_NO_SYMLINKS;
  const auto open_by = [&](const char* name) {
    return hook_->call(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));
  };
  EXPECT_EQ(open_by("/lib/l"), -ELOOP);
  EXPECT_EQ(open_by("/abs"), -ELOOP);
  EXPECT_EQ(open_by("/lib/"), -ELOOP);
  EXPECT_GE(open_by("/usr/lib/l"), 0);
  EXPECT_GE(open_by("/usr/lib/../lib/l"), 0);
  how.flags = O_PATH | O_NOFOLLOW;
  EXPECT_GE(open_by("/lib"), 0) << "the link itself";
}

TEST_F(SysrootHook, FollowsLinksOutOfItByTheirName) {
  EXPECT_EQ(read("/host/f"), "host") << "the host's directory of the name that the link has";
  EXPECT_EQ(read("/nowhere"), "ENOENT");
  tree_.link("root/circle", "circle");
  EXPECT_EQ(read("/circle"), "ELOOP");
  EXPECT_EQ(read("/lib", O_RDONLY | O_NOFOLLOW), "ELOOP");
  EXPECT_EQ(link("/lib"), "usr/lib");
  EXPECT_EQ(link("/abs"), "/usr/lib");
  EXPECT_EQ(link("/etc/name"), "EINVAL");
}

TEST_F(SysrootHook, CreatesWhereTheParentIs) {
  EXPECT_EQ(read("/etc/new", O_CREAT | O_RDWR), "");
  EXPECT_TRUE(on_host("root/etc/new"));
  EXPECT_EQ(hook_->call(SYS_mkdir, "/lib/d", 0755), 0);
  EXPECT_TRUE(on_host("root/usr/lib/d"));
  EXPECT_EQ(hook_->call(SYS_mkdir, "/lib/d", 0755), -EEXIST);
  EXPECT_EQ(hook_->call(SYS_symlink, "x", "/etc/s"), 0);
  EXPECT_TRUE(on_host("root/etc/s"));
  EXPECT_EQ(read("/nowhere", O_CREAT | O_RDWR), "") << "through a link to what is not there";
  EXPECT_TRUE(on_host("root/etc/none"));
  EXPECT_EQ(hook_->call(SYS_mkdir, tree_.path("there/d").c_str(), 0755), 0);
  EXPECT_TRUE(on_host("there/d"));
  EXPECT_FALSE(on_host("root" + tree_.path("there/d")));
}

TEST_F(SysrootHook, CreatesNothingBesideAFileOfTheHosts) {
  tree_.directory("root" + tree_.path("there"));
  EXPECT_EQ(read(tree_.path("there/f"), O_CREAT | O_RDWR), "host");
  EXPECT_EQ(read(tree_.path("there/f"), O_CREAT | O_EXCL | O_RDWR), "EEXIST");
  EXPECT_EQ(read(tree_.path("there/g"), O_CREAT | O_RDWR), "");
  EXPECT_TRUE(on_host("root" + tree_.path("there/g")));
  EXPECT_FALSE(on_host("there/g"));
}

// Of a directory of the sysroot that the host has as something else, nothing is the host's.
TEST_F(SysrootHook, TakesWhatTheHostCannotHaveForMissing) {
  tree_.link("loop", "loop");
  const std::string file = tree_.path("there/f"), loop = tree_.path("loop");
  for (const std::string& name : {file, loop}) {
    struct stat status {};
    tree_.directory("root" + name);
    EXPECT_EQ(hook_->call(SYS_stat, (name + "/none").c_str(), &status), -ENOENT);
    EXPECT_EQ(hook_->call(SYS_stat, (name + "/none/x").c_str(), &status), -ENOENT);
    EXPECT_EQ(hook_->call(SYS_mkdir, (name + "/none/x").c_str(), 0755), -ENOENT);
    EXPECT_EQ(read(name + "/new", O_CREAT | O_RDWR), "");
    EXPECT_TRUE(on_host("root" + name + "/new"));
    EXPECT_EQ(hook_->call(SYS_mkdir, (name + "/d").c_str(), 0755), 0);
    EXPECT_EQ(hook_->call(SYS_symlink, "x", (name + "/l").c_str()), 0);
    EXPECT_EQ(hook_->call(SYS_mknod, (name + "/p").c_str(), S_IFIFO | 0600, 0), 0);
  }
}

TEST_F(SysrootHook, TakesWhatMayNotBeSearchedOnTheHostForMissing) {
  tree_.directory("closed");
  const std::string closed = tree_.path("closed");
  tree_.directory("root" + closed);
  for (const std::string& name : {tree_.root(), "root" + closed}) chmod(name.c_str(), 0777);
  chmod(closed.c_str(), 0);
  const uid_t before = geteuid();
  ASSERT_EQ(before == 0 ? seteuid(65534) : 0, 0);  // whom modes concern
  struct stat status {};
  EXPECT_EQ(hook_->call(SYS_stat, (closed + "/none").c_str(), &status), -ENOENT);
  EXPECT_EQ(hook_->call(SYS_stat, (closed + "/none/x").c_str(), &status), -ENOENT);
  EXPECT_EQ(hook_->call(SYS_mkdir, (closed + "/new").c_str(), 0755), 0);
  ASSERT_EQ(seteuid(before), 0);
  chmod(closed.c_str(), 0700);
  EXPECT_TRUE(on_host("root" + closed + "/new"));
}

TEST_F(SysrootHook, RemovesAndRenames) {
  EXPECT_EQ(hook_->call(SYS_rename, "/etc/name", "/lib/moved"), 0);
  EXPECT_TRUE(on_host("root/usr/lib/moved"));
  EXPECT_EQ(hook_->call(SYS_link, "/lib/moved", "/etc/again"), 0);
  EXPECT_TRUE(on_host("root/etc/again"));
  EXPECT_EQ(hook_->call(SYS_unlink, "/lib/moved"), 0);
  EXPECT_FALSE(on_host("root/usr/lib/moved"));
  EXPECT_EQ(hook_->call(SYS_unlink, "/lib"), 0) << "the link, not what it names";
  EXPECT_TRUE(on_host("root/usr/lib/l"));
  EXPECT_EQ(hook_->call(SYS_rename, tree_.path("there/f").c_str(), tree_.path("there/g").c_str()),
            0);
  EXPECT_TRUE(on_host("there/g"));
  EXPECT_EQ(hook_->call(SYS_unlink, tree_.path("there/g").c_str()), 0);
  EXPECT_EQ(hook_->call(SYS_rmdir, "/"), -EBUSY);
  EXPECT_EQ(hook_->call(SYS_unlink, "//"), -EISDIR);
  EXPECT_EQ(hook_->call(SYS_rmdir, "/proc/."), -EINVAL);
  EXPECT_EQ(hook_->call(SYS_rmdir, "/proc/"), 0);
}

TEST_F(SysrootHook, RemovesNothingThatALinkNames) {
  tree_.link("root/empty", "usr/sub");
  tree_.directory("root/usr/sub");
  for (const char* link : {"/empty/", "/empty//", "/lib/", "/abs/", "/nowhere/"}) {
    EXPECT_EQ(hook_->call(SYS_rmdir, link), -ENOTDIR) << link;
    EXPECT_EQ(hook_->call(SYS_unlink, link), -ENOTDIR) << link;
    EXPECT_EQ(hook_->call(SYS_rename, link, "/moved"), -ENOTDIR) << link;
    EXPECT_EQ(hook_->call(SYS_rename, "/usr", link), -ENOTDIR) << link;
  }
  EXPECT_TRUE(on_host("root/usr/sub"));
  EXPECT_TRUE(on_host("root/usr/lib/l"));
  EXPECT_FALSE(on_host("root/moved"));
}

TEST_F(SysrootHook, RemovesNoParents) {
  tree_.directory("root/usr/sub");
  EXPECT_EQ(hook_->call(SYS_rename, "/usr/sub/..", "/moved"), -EBUSY);
  EXPECT_EQ(hook_->call(SYS_rename, "/usr/sub/../", "/moved"), -EBUSY);
  EXPECT_EQ(hook_->call(SYS_rename, "/usr/sub/.", "/moved"), -EBUSY);
  EXPECT_EQ(hook_->call(SYS_rename, "/usr/sub", "/etc/.."), -EBUSY);
  EXPECT_EQ(hook_->call(SYS_rmdir, "/usr/sub/.."), -ENOTEMPTY);
  EXPECT_EQ(hook_->call(SYS_rmdir, "/.."), -ENOTEMPTY);
  EXPECT_EQ(hook_->call(SYS_unlink, "/.."), -EISDIR);
  EXPECT_EQ(hook_->call(SYS_mkdir, "/..", 0755), -EEXIST);
  EXPECT_TRUE(on_host("root/usr/sub"));
  EXPECT_FALSE(on_host("root/moved"));
  EXPECT_EQ(hook_->call(SYS_rmdir, "/lib/../sub"), 0) << "one on the way is gone";
}

TEST_F(SysrootHook, MakesNothingBehindALink) {
  for (const char* link : {"/nowhere", "/nowhere/", "/lib/"}) {
    EXPECT_EQ(hook_->call(SYS_mkdir, link, 0755), -EEXIST) << link;
    EXPECT_EQ(hook_->call(SYS_mknod, link, S_IFREG | 0644, 0), -EEXIST) << link;
    EXPECT_EQ(hook_->call(SYS_symlink, "x", link), -EEXIST) << link;
    EXPECT_EQ(hook_->call(SYS_link, "/etc/name", link), -EEXIST) << link;
  }
  tree_.link("root/circle", "circle");
  EXPECT_EQ(read("/circle/", O_CREAT | O_RDWR), "EISDIR");
  EXPECT_EQ(read("/lib/", O_CREAT | O_PATH | O_NOFOLLOW), "unreadable") << "no O_CREAT at all";
  EXPECT_FALSE(on_host("root/etc/none"));
}

TEST_F(SysrootHook, RenamesOverNothingOfTheHosts) {
  tree_.directory("root" + tree_.path("there"));
  tree_.file("root" + tree_.path("there/t"), "new");
  EXPECT_EQ(hook_->call(SYS_rename, tree_.path("there/t").c_str(), tree_.path("there/f").c_str()),
            0);
  EXPECT_EQ(read(tree_.path("there/f")), "new");
  std::ifstream host(tree_.path("there/f"));
  std::string text;
  host >> text;
  EXPECT_EQ(text, "host");
}

TEST_F(SysrootHook, AnswersInTheProgramsView) {
  EXPECT_EQ(working_directory(), tree_.root());
  ASSERT_EQ(enter("/"), 0);
  EXPECT_EQ(working_directory(), "/");
  ASSERT_EQ(enter("/lib"), 0);
  EXPECT_EQ(working_directory(), "/usr/lib");
  EXPECT_EQ(link("/proc/self/cwd"), "/usr/lib");
  EXPECT_EQ(link("/proc/self/cwd", 5), "/usr/");
  char room[5];
  EXPECT_EQ(hook_->call(SYS_readlink, "/proc/self/cwd", room, uint64_t{7} << 32 | sizeof(room)), 5);
  EXPECT_EQ(std::string(room, sizeof(room)), "/usr/") << "the size is an int";
  std::string filled(64, 'x');
  EXPECT_EQ(hook_->call(SYS_readlink, "/proc/self/cwd", filled.data(), filled.size()), 8);
  EXPECT_EQ(filled, "/usr/lib" + std::string(56, 'x')) << "nothing behind it is touched";
  EXPECT_EQ(hook_->call(SYS_readlink, "/proc/self/cwd", filled.data(), 0), -EINVAL);
  EXPECT_EQ(hook_->call(SYS_readlink, "/proc/self/cwd", 8, 100), -EFAULT);
  EXPECT_EQ(hook_->call(SYS_readlink, "/proc/self/none", filled.data(), 64), -ENOENT);
  EXPECT_EQ(link("/proc/self/root"), "/");
  const int64_t open_link = hook_->call(SYS_open, "/proc/self/cwd", O_PATH | O_NOFOLLOW);
  char target[64];
  EXPECT_EQ(hook_->call(SYS_readlinkat, open_link, "", target, sizeof(target)), 8);
  EXPECT_EQ(std::string(target, 8), "/usr/lib");
  close(static_cast<int>(open_link));
  const int64_t file = hook_->call(SYS_open, "/etc/name", O_RDONLY);
  EXPECT_EQ(link("/proc/self/fd/" + std::to_string(file)), "/etc/name");
  tree_.link("root/fd", "/proc/self/fd");
  EXPECT_EQ(link("/fd/" + std::to_string(file)), "/etc/name");
  char small[9];
  EXPECT_EQ(hook_->call(SYS_getcwd, small, 8), -ERANGE);
  EXPECT_EQ(hook_->call(SYS_getcwd, small, 9), 9);
  EXPECT_EQ(hook_->call(SYS_getcwd, 8, 100), -EFAULT);
  close(static_cast<int>(file));
}

TEST_F(SysrootHook, LeavesOpenat2ToItsOwnRoot) {
  open_how how{};
  how.resolve = RESOLVE_IN_ROOT;
  const int there = open("there", O_PATH | O_DIRECTORY);
  const int64_t file = hook_->call(SYS_openat2, there, "/f", &how, sizeof(how));
  EXPECT_GE(file, 0);
  close(static_cast<int>(file));
  close(there);
  how.resolve = 0;
  EXPECT_GE(hook_->call(SYS_openat2, AT_FDCWD, "/etc/name", &how, sizeof(how)), 0);
}

TEST_F(SysrootHook, WatchesALinkItselfWhereThatIsMeant) {
  tree_.link("root/linked", "/etc");
  const int queue = inotify_init1(IN_NONBLOCK);
  const int64_t target = hook_->call(SYS_inotify_add_watch, queue, "/etc", IN_ATTRIB);
  EXPECT_EQ(hook_->call(SYS_inotify_add_watch, queue, "/linked", IN_ATTRIB), target);
  const int64_t link =
      hook_->call(SYS_inotify_add_watch, queue, "/linked", IN_ATTRIB | IN_DONT_FOLLOW);
  EXPECT_GE(link, 0);
  EXPECT_NE(link, target);
  close(queue);
}

TEST_F(SysrootHook, PutsSocketsThere) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "/etc/sock");
  const int server = socket(AF_UNIX, SOCK_DGRAM, 0), client = socket(AF_UNIX, SOCK_DGRAM, 0);
  EXPECT_EQ(hook_->call(SYS_bind, server, &address, sizeof(address)), 0);
  EXPECT_TRUE(on_host("root/etc/sock"));
  EXPECT_EQ(hook_->call(SYS_connect, client, &address, sizeof(address)), 0);
  EXPECT_STREQ(address.sun_path, "/etc/sock") << "the program's memory is its own";
  const int second = socket(AF_UNIX, SOCK_DGRAM, 0);
  tree_.directory("root/only-here");
  strcpy(address.sun_path, "/only-here/upper");
  EXPECT_EQ(hook_->call(SYS_bind, second, &address, uint64_t{7} << 32 | sizeof(address)), 0);
  EXPECT_TRUE(on_host("root/only-here/upper")) << "the size is an int";
  close(second);
  strcpy(address.sun_path, "/nowhere");
  EXPECT_EQ(hook_->call(SYS_bind, client, &address, sizeof(address)), -EADDRINUSE);
  EXPECT_FALSE(on_host("root/etc/none")) << "what a link names is not made";
  memset(address.sun_path, 'x', 100);
  memcpy(address.sun_path, "/etc/", 5);
  EXPECT_EQ(hook_->call(SYS_bind, client, &address, 102), -ENAMETOOLONG);
  close(server);
  close(client);
}

// A script that the real user may not execute. Its interpreter is nowhere but in the sysroot.
TEST_F(SysrootHook, ExecutesScriptsAsTheEffectiveUser) {
  tree_.directory("root/only-here");
  std::filesystem::copy_file("/bin/true", tree_.path("root/only-here/true"));
  tree_.file("root/script", "#!/only-here/true\n");
  chmod("root/script", 0700);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (geteuid() == 0 && setresuid(65534, 0, 0) != 0) _exit(2);
    const char* const arguments[] = {"script", nullptr};
    hook_->call(SYS_execve, "/script", arguments, nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(SysrootHook, IsOverAfterChroot) {
  hook_->pretend(0, SYS_chroot, "/etc");
  EXPECT_EQ(read("/etc/name"), "ENOENT");
}

TEST_F(SysrootHook, SurvivesWhatIsNotThere) {
  EXPECT_EQ(hook_->call(SYS_open, 8, O_RDONLY), -EFAULT);
  EXPECT_EQ(read(""), "ENOENT");
  EXPECT_EQ(read(std::string(5000, 'a')), "ENAMETOOLONG");
  EXPECT_EQ(read("/" + std::string(300, 'a')), "ENAMETOOLONG");
  EXPECT_EQ(read("/etc/" + std::string(4089, '/') + "x"), "ENOENT");
  tree_.directory("gone");
  ASSERT_EQ(enter(tree_.path("gone")), 0);
  ASSERT_EQ(rmdir(tree_.path("gone").c_str()), 0);
  EXPECT_EQ(read("x"), "ENOENT");
  EXPECT_EQ(working_directory(), "ENOENT");
}

TEST_F(SysrootHook, MeansTheSameDirectoryInWhatIsExecuted) {
  ASSERT_EQ(chdir(tree_.root().c_str()), 0);
  HostedHook first(sysload_hook_init_sysroot, "root=root/../root");
  ASSERT_EQ(first.call(SYS_chdir, "/etc"), 0);
  HostedHook executed(sysload_hook_init_sysroot, "root=root/../root", "", &first);
  char name[64];
  EXPECT_EQ(executed.call(SYS_getcwd, name, sizeof(name)), 5);
  EXPECT_STREQ(name, "/etc");
}

std::string refusal(const std::string& options) {
  try {
    HostedHook hook(sysload_hook_init_sysroot, options);
  } catch (const HookFailed& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(SysrootOptions, AreRefusedWithTheirPlace) {
  EXPECT_EQ(refusal(""), "found no root=DIR, which says what directory is the sysroot");
  EXPECT_EQ(refusal("root=/usr:rot=x"), "option at column 11: found rot=x, expected root=DIR");
  EXPECT_EQ(refusal("root=/usr:root=/etc"),
            "option at column 11: found root=/etc, expected root once");
  EXPECT_EQ(refusal("root=/none"), "root=/none: expected a directory, found ENOENT");
  EXPECT_EQ(refusal("root=/etc/passwd"), "root=/etc/passwd: expected a directory, found ENOTDIR");
  EXPECT_EQ(refusal("root=/"), "root=/: expected a directory below /, found / itself");
  EXPECT_EQ(refusal("root=/usr/"), "accepted");
}

}  // namespace
}  // namespace sysrewrite
