// The `files` hook in a test's own process, in a directory that is gone with the test.
#ifndef SYSREWRITE_TESTS_HOOKS_HOSTED_FILES_H_
#define SYSREWRITE_TESTS_HOOKS_HOSTED_FILES_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "loader/hooks/hooks.h"
#include "tests/hooks/hosted_api.h"
#include "tests/hooks/temporary_tree.h"

namespace sysrewrite::test {

using Lines = std::vector<std::string>;

class Files : public testing::Test {
 protected:
  std::string at(const std::string& kind, const std::string& name) {
    return kind + " " + tree_.path(name);
  }
  int64_t open_file(const char* name, int flags) {
    const int64_t file = hook_.call(SYS_openat, AT_FDCWD, name, flags, 0644);
    if (file >= 0) close(static_cast<int>(file));
    return file;
  }

  TemporaryTree tree_;
  HostedHook hook_{sysload_hook_init_files, ""};
};

}  // namespace sysrewrite::test

#endif  // SYSREWRITE_TESTS_HOOKS_HOSTED_FILES_H_
