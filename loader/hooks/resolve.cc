#include "loader/hooks/resolve.h"

#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "trampoline/decimal.h"

namespace sysrewrite {

namespace {

int64_t read_link(const sysload_api& api, const char* name, char* into, uint32_t size) {
  return api.syscall(__NR_readlink, word(name), word(into), size, 0, 0, 0);
}

}  // namespace

bool is_parent(const char* component, uint32_t size) {
  return size == 2 && component[0] == '.' && component[1] == '.';
}

void AbsolutePath::begin(const char* base, uint32_t base_size) {
  size = base_size == 1 ? 0 : base_size;  // "/" is the empty one while components are added
  memcpy(text, base, size);
  text[size] = 0;
  floor = 0;
  has_parents = wants_directory = false;
}

bool AbsolutePath::add_component(const char* component, uint32_t component_size) {
  if (size + 1 + component_size + 1 > kPathBytes) return false;
  text[size++] = '/';
  memcpy(text + size, component, component_size);
  size += component_size;
  return true;
}

bool AbsolutePath::add(const char* name, uint32_t name_size) {
  if (name_size != 0 && name[0] == '/') size = 0, has_parents = false;
  if (size == 1) size = 0;
  bool fits = true;
  for (uint32_t i = 0; i < name_size && fits;) {
    if (name[i] == '/') {
      wants_directory = true;
      ++i;
      continue;
    }
    uint32_t end = i;
    while (end < name_size && name[end] != '/') ++end;
    const uint32_t length = end - i;
    wants_directory = name[i] == '.' && (length == 1 || is_parent(name + i, length));
    if (is_parent(name + i, length)) has_parents = true;
    if (length != 1 || name[i] != '.') fits = add_component(name + i, length);
    i = end;
  }
  if (size == 0) text[size++] = '/';
  text[size] = 0;
  return fits;
}

void AbsolutePath::cut(uint32_t new_size) {
  size = new_size;
  if (size == 0) text[size++] = '/';
  text[size] = 0;
}

void AbsolutePath::remove_last() {
  while (size != 0 && text[size - 1] != '/') --size;
  if (size > 1) --size;
  text[size] = 0;
}

bool RemainingPath::prepend(const char* name, uint32_t size) {
  const uint32_t left = end_ - begin_;
  if (size + left > sizeof(text_)) return false;
  if (left != 0) memmove(text_ + size, text_ + begin_, left);
  memcpy(text_, name, size);
  begin_ = 0;
  end_ = size + left;
  return true;
}

uint32_t RemainingPath::next(const char** component) {
  while (begin_ != end_ && text_[begin_] == '/') ++begin_;
  *component = text_ + begin_;
  const uint32_t from = begin_;
  while (begin_ != end_ && text_[begin_] != '/') ++begin_;
  return begin_ - from;
}

bool RemainingPath::more() const {
  for (uint32_t i = begin_; i != end_; ++i)
    if (text_[i] != '/') return true;
  return false;
}

bool follow_parents(const sysload_api& api, AbsolutePath& path, bool asks) {
  if (!path.has_parents) return true;
  const bool wants_directory = path.wants_directory;
  const uint32_t floor = path.floor;
  RemainingPath rest;
  if (!rest.prepend(path.text + floor, path.size - floor)) return false;
  path.cut(floor);
  char link[kNameBytes];
  int links = 0;
  bool good = true;
  for (;;) {
    const char* component = nullptr;
    const uint32_t size = rest.next(&component);
    if (size == 0) break;
    if (!is_parent(component, size)) {
      if (!path.add(component, size)) return false;
      continue;
    }
    // No link, not there, or not to be known: then its name says where it lies.
    if (path.size <= floor) continue;
    const int64_t got =
        asks && path.size > 1 ? read_link(api, path.text, link, sizeof(link) - 4) : 0;
    path.remove_last();
    if (got <= 0) continue;
    // The link's target in its place, and its parent then.
    constexpr char kUp[] = {'/', '.', '.'};
    memcpy(link + got, kUp, sizeof(kUp));
    good = ++links <= kMostLinks && rest.prepend(link, static_cast<uint32_t>(got) + 3);
    if (!good) break;
    if (link[0] == '/') path.cut(floor);
  }
  path.has_parents = false;
  path.wants_directory = wants_directory;
  return good;
}

// The thread's and not the process's: a thread may have descriptors of its own, and a process whose
// first thread is gone shows none.
DescriptorLink::DescriptorLink(uint32_t descriptor) {
  const char prefix[] = "/proc/thread-self/fd/";
  memcpy(text, prefix, sizeof(prefix) - 1);
  char* into = text + sizeof(prefix) - 1;
  for (const char digit : Decimal(descriptor)) *into++ = digit;
  *into = 0;
}

int64_t name_of_descriptor(const sysload_api& api, int32_t descriptor, char* into, uint32_t size) {
  if (descriptor == AT_FDCWD) return name_of_working_directory(api, into, size);
  if (descriptor < 0) return -EBADF;
  const DescriptorLink link(static_cast<uint32_t>(descriptor));
  const int64_t got = read_link(api, link.text, into, size);
  return got == static_cast<int64_t>(size) ? -ENAMETOOLONG : got;
}

namespace {

bool ends_as_removed(const char* name, uint32_t size) {
  return size > kRemovedSuffix &&
         memcmp(name + size - kRemovedSuffix, " (deleted)", kRemovedSuffix) == 0;
}

}  // namespace

bool leads_to(const sysload_api& api, const char* name, int32_t descriptor) {
  // struct stat, whose first two words say which file it is. Source: linux,
  // arch/x86/include/uapi/asm/stat.h, which does not go with the C library's.
  uint64_t named[18] = {}, open[18] = {};
  const auto file = static_cast<uint64_t>(int64_t{descriptor});
  return api.syscall(__NR_lstat, word(name), word(named), 0, 0, 0, 0) == 0 &&
         api.syscall(__NR_newfstatat, file, word(""), word(open), AT_EMPTY_PATH, 0, 0) == 0 &&
         named[0] == open[0] && named[1] == open[1];
}

bool is_removed_name(const sysload_api& api, int32_t descriptor, const char* name, uint32_t size) {
  return ends_as_removed(name, size) && !leads_to(api, name, descriptor);
}

namespace {

DirectoryName working_directory(const sysload_api& api, char* into, uint32_t size) {
  const int64_t got = api.syscall(__NR_getcwd, word(into), size, 0, 0, 0, 0);
  if (got > 0) return {got - 1, false};
  const int64_t linked = read_link(api, "/proc/thread-self/cwd", into, size - 1);
  if (linked < 0) return {linked, false};
  if (linked == int64_t{size} - 1) return {-ENAMETOOLONG, false};
  auto length = static_cast<uint32_t>(linked);
  const bool is_removed = ends_as_removed(into, length);  // else getcwd would know it
  if (is_removed) length -= kRemovedSuffix;
  into[length] = 0;
  return {length, is_removed};
}

}  // namespace

int64_t ask_execution(const sysload_api& api, uint64_t directory, uint64_t name) {
  constexpr uint64_t kMayExecute = 1;  // X_OK
  const int64_t got = api.syscall(__NR_faccessat2, directory, name, kMayExecute, AT_EACCESS, 0, 0);
  // Before Linux 5.8, and in containers that refuse what they do not know.
  if (got != -ENOSYS && got != -EPERM) return got;
  return api.syscall(__NR_faccessat, directory, name, kMayExecute, 0, 0, 0);
}

int64_t name_of_working_directory(const sysload_api& api, char* into, uint32_t size) {
  return working_directory(api, into, size).size;
}

DirectoryName name_of_directory(const sysload_api& api, int32_t descriptor, char* into,
                                uint32_t size) {
  if (descriptor == AT_FDCWD) return working_directory(api, into, size);
  const int64_t got = name_of_descriptor(api, descriptor, into, size);
  if (got < 0) return {got, false};
  auto length = static_cast<uint32_t>(got);
  into[length] = 0;
  const bool is_removed = is_removed_name(api, descriptor, into, length);
  if (is_removed) length -= kRemovedSuffix;
  into[length] = 0;
  return {length, is_removed};
}

}  // namespace sysrewrite
