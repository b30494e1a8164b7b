#include "loader/serve/binfmt_misc.h"

#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#include <cstddef>
#include <cstring>

#include "loader/memory.h"
#include "loader/serve/descriptor_limit.h"
#include "loader/syscalls.h"
#include "loader/text.h"

// Each format is a file of /proc/sys/fs/binfmt_misc, and "status" there is one for all:
//
//   enabled                        or disabled
//   interpreter /usr/bin/qemu-arm
//   flags: OCF
//   offset 0                       or, of one that is known by its name: extension .py
//   magic 7f454c460101
//   mask ffffffffff00              not there: all bits count
//
// Source: linux, fs/binfmt_misc.c, entry_status().

namespace sysrewrite {

namespace {

constexpr uint64_t kFormatSize = 4096;  // the kernel writes no more than a page

sys::Fd open_in(sys::Fd folder, const char* name, uint64_t flags) {
  return beyond_limit([=] {
    return sys::call(__NR_openat, static_cast<uint64_t>(folder), Memory::address_of(name).value,
                     O_RDONLY | O_CLOEXEC | flags);
  });
}

// As text; empty where it cannot be read.
void read_in(sys::Fd folder, const char* name, char (&into)[kFormatSize]) {
  into[0] = 0;
  const sys::Fd fd = open_in(folder, name, 0);
  if (sys::failed(fd)) return;
  const int64_t got = sys::read(fd, Memory::bytes(Memory::address_of(&into[0]), kFormatSize - 1));
  into[sys::failed(got) ? 0 : got] = 0;
  sys::close(fd);
}

// What stands behind `key` at the start of a line, up to the line's end; nullptr where there is
// none.
const char* value_of(const char* text, const char* key) {
  while (*text != 0) {
    if (const char* value = after(text, key)) return value;
    while (*text != 0 && *text != '\n') ++text;
    if (*text == '\n') ++text;
  }
  return nullptr;
}

int digit_at(const char* at) {
  if (*at >= '0' && *at <= '9') return *at - '0';
  return *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : -1;
}

// Two digits; -1 at the end.
int byte_at(const char* hex) {
  const int high = digit_at(hex), low = high < 0 ? -1 : digit_at(hex + 1);
  return low < 0 ? -1 : high * 16 + low;
}

uint64_t decimal(const char* digits) {
  uint64_t value = 0;
  for (; *digits >= '0' && *digits <= '9' && value < kFormatSize; ++digits)
    value = value * 10 + static_cast<uint64_t>(*digits - '0');
  return value;
}

bool has_magic(ByteView start, uint64_t offset, const char* magic, const char* mask) {
  for (uint64_t i = 0; byte_at(magic + 2 * i) >= 0; ++i) {
    if (offset + i >= start.size()) return false;
    const int counts = mask == nullptr ? 0xff : byte_at(mask + 2 * i);
    const int here = std::to_integer<int>(start[offset + i]);
    if (counts < 0 || ((here ^ byte_at(magic + 2 * i)) & counts) != 0) return false;
  }
  return true;
}

bool has_extension(const char* name, const char* extension) {
  const char* last = nullptr;
  for (; *name != 0; ++name)
    if (*name == '.') last = name;
  if (last == nullptr || !begins_with(extension, last)) return false;
  const char end = extension[strlen(last)];
  return end == '\n' || end == 0;
}

bool is_of_format(const char* format, ByteView start, const char* name) {
  if (!begins_with(format, "enabled\n")) return false;
  if (const char* extension = value_of(format, "extension ")) return has_extension(name, extension);
  const char* offset = value_of(format, "offset ");
  const char* magic = value_of(format, "magic ");
  return offset != nullptr && magic != nullptr &&
         has_magic(start, decimal(offset), magic, value_of(format, "mask "));
}

// Source: linux, include/linux/dirent.h (struct linux_dirent64).
struct Entry {
  uint64_t inode, offset;
  uint16_t size;
  uint8_t type;
  char name[5];
};
constexpr uint64_t kNameOffset = offsetof(Entry, name);

bool is_of_a_format_in(sys::Fd folder, ByteView start, const char* name) {
  constexpr uint64_t kEntries = 1024;
  alignas(Entry) char entries[kEntries];
  char format[kFormatSize];
  read_in(folder, "status", format);
  if (!begins_with(format, "enabled\n")) return false;
  for (;;) {
    const int64_t got = sys::call(__NR_getdents64, static_cast<uint64_t>(folder),
                                  Memory::address_of(&entries[0]).value, kEntries);
    if (sys::failed(got) || got == 0) return false;
    uint64_t size = 0;
    for (uint64_t at = 0; at < static_cast<uint64_t>(got); at += size) {
      const char* entry = &entries[at];
      size = Memory::at<const Entry>(Memory::address_of(entry))->size;
      const char* format_name = entry + kNameOffset;
      // status has no more lines than one, and register cannot be read.
      read_in(folder, format_name, format);
      if (is_of_format(format, start, name)) return true;
    }
  }
}

// Where the file system waits to be mounted by whoever looks into it, as systemd's does, nothing is
// registered yet, and it stays so: O_PATH alone mounts nothing.
sys::Fd open_formats() {
  const sys::Fd place = open_in(AT_FDCWD, "/proc/sys/fs/binfmt_misc", O_PATH);
  if (sys::failed(place)) return place;
  struct statfs status {};
  sys::call(__NR_fstatfs, static_cast<uint64_t>(place), Memory::address_of(&status).value);
  const sys::Fd folder =
      status.f_type == BINFMTFS_MAGIC ? open_in(place, ".", O_DIRECTORY) : -ENOENT;
  sys::close(place);
  return folder;
}

}  // namespace

bool has_registered_format(ByteView start, const char* name) {
  const sys::Fd folder = open_formats();
  if (sys::failed(folder)) return false;
  const bool found = is_of_a_format_in(folder, start, name);
  sys::close(folder);
  return found;
}

}  // namespace sysrewrite
