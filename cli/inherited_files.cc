#include "cli/inherited_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace sysrewrite {

namespace {

int open_nothing() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  // Where there is no such file, what nobody can read or write either.
  return null >= 0 ? null : open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

std::vector<int> open_descriptors() {
  std::vector<int> found;
  if (DIR* folder = opendir("/proc/self/fd"); folder != nullptr) {
    while (const dirent* entry = readdir(folder))
      if (entry->d_name[0] != '.') found.push_back(std::atoi(entry->d_name));
    closedir(folder);
    return found;
  }
  constexpr int kMost = 65536;  // where there is no /proc, as far as one limits them
  for (int fd = 0; fd < kMost; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) found.push_back(fd);
  return found;
}

// What was inherited is open across execve, and nothing else is.
std::vector<int> inherited_descriptors() {
  std::vector<int> found = open_descriptors();
  std::erase_if(found, [](int fd) {
    const int flags = fcntl(fd, F_GETFD);
    return fd == STDERR_FILENO || flags < 0 || (flags & FD_CLOEXEC) != 0;
  });
  return found;
}

bool is_regular(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool holds_record_locks(int fd) {
  const Descriptor info(
      open(fmt::format("/proc/self/fdinfo/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  char text[4096];
  const ssize_t size = info.valid() ? read(info.get(), text, sizeof(text)) : 0;
  return size > 0 &&
         std::string(text, static_cast<size_t>(size)).find("POSIX") != std::string::npos;
}

}  // namespace

Descriptor occupy_standard_numbers() {
  int nothing = open_nothing();
  while (nothing >= 0 && nothing <= STDERR_FILENO) nothing = open_nothing();
  return Descriptor(nothing);
}

void let_go_of_inherited_files(const Descriptor& nothing) {
  std::vector<int> inherited = inherited_descriptors();
  std::vector<int> files;
  std::ranges::copy_if(inherited, std::back_inserter(files), is_regular);
  if (std::ranges::any_of(files, holds_record_locks))
    std::erase_if(inherited, [&files](int fd) { return std::ranges::count(files, fd) != 0; });
  for (const int fd : inherited) {
    if (fd > STDERR_FILENO) {
      close(fd);
    } else {
      dup3(nothing.get(), fd, O_CLOEXEC);
    }
  }
  // A folder is in use as well by whoever works in it.
  static_cast<void>(chdir("/") == 0);
}

}  // namespace sysrewrite
