#include "cli/inherited_files.h"

#include <fcntl.h>
#include <unistd.h>

namespace sysrewrite {

namespace {

int open_nothing() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  // Where there is no such file, what nobody can read or write either.
  return null >= 0 ? null : open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

Descriptor occupy_standard_numbers() {
  int nothing = open_nothing();
  while (nothing >= 0 && nothing <= STDERR_FILENO) nothing = open_nothing();
  return Descriptor(nothing);
}

}  // namespace sysrewrite
