// The `sysroot` hook in a test's own process. In each test "root" is the sysroot, and the test's
// directory, which is gone with it, stands for the rest of the host.
#ifndef SYSREWRITE_TESTS_HOOKS_HOSTED_SYSROOT_H_
#define SYSREWRITE_TESTS_HOOKS_HOSTED_SYSROOT_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

#include "loader/hooks/hooks.h"
#include "tests/hooks/hosted_api.h"
#include "tests/hooks/temporary_tree.h"

namespace sysrewrite {

class SysrootHook : public testing::Test {
 protected:
  SysrootHook() {
    tree_.directory("root/etc");
    tree_.directory("root/usr/lib");
    tree_.directory("root/proc");
    tree_.file("root/etc/name", "sysroot");
    tree_.file("root/usr/lib/l", "library");
    tree_.link("root/lib", "usr/lib");
    tree_.link("root/abs", "/usr/lib");
    tree_.link("root/up", "../../../../etc/name");
    tree_.link("root/nowhere", "/etc/none");
    tree_.link("root/host", tree_.path("there"));
    tree_.directory("there");
    tree_.file("there/f", "host");
    hook_ = std::make_unique<HostedHook>(sysload_hook_init_sysroot, "root=" + tree_.path("root"));
  }

  // What a file holds, or the error.
  std::string read(const std::string& name, int flags = O_RDONLY, int directory = AT_FDCWD) {
    const int64_t file = hook_->call(SYS_openat, directory, name.c_str(), flags, 0644);
    if (file < 0) return strerrorname_np(static_cast<int>(-file));
    char text[64];
    const ssize_t size = ::read(static_cast<int>(file), text, sizeof(text));
    close(static_cast<int>(file));
    return size < 0 ? "unreadable" : std::string(text, static_cast<size_t>(size));
  }
  std::string working_directory() {
    char name[4096];
    const int64_t size = hook_->call(SYS_getcwd, name, sizeof(name));
    return size < 0 ? strerrorname_np(static_cast<int>(-size)) : name;
  }
  std::string link(const std::string& name, size_t room = 4096) {
    std::string text(room, '\0');
    const int64_t size = hook_->call(SYS_readlink, name.c_str(), text.data(), room);
    if (size < 0) return strerrorname_np(static_cast<int>(-size));
    text.resize(static_cast<size_t>(size));
    return text;
  }
  bool on_host(const std::string& name) {
    struct stat status {};
    return lstat(tree_.path(name).c_str(), &status) == 0;
  }
  int64_t enter(const std::string& name) { return hook_->call(SYS_chdir, name.c_str()); }

  TemporaryTree tree_;
  std::unique_ptr<HostedHook> hook_;
};

}  // namespace sysrewrite

#endif  // SYSREWRITE_TESTS_HOOKS_HOSTED_SYSROOT_H_
