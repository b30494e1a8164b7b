// The directory that a name is relative to.
//
// The kernel is asked for its name, and the name that was given is put behind that: so ".." ends at
// the sysroot's top. Of a directory that was removed the name leads nowhere, and nothing is in it;
// but ".." still leads to its parent, and from there on everything is as ever.
#include <asm/stat.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#include <cstring>

#include "loader/hooks/address.h"
#include "loader/hooks/sysroot_state.h"

namespace sysrewrite {

namespace {

// What is left of a name.
struct Rest {
  const char* text;
  uint32_t size;

  void skip(uint32_t bytes) { text += bytes, size -= bytes; }
  uint32_t component() {
    while (size != 0 && *text == '/') skip(1);
    uint32_t length = 0;
    while (length != size && text[length] != '/') ++length;
    return length;
  }
  // Steps over ".." where that comes next, and over what leads nowhere before it.
  bool take_parent() {
    uint32_t length = component();
    for (; length == 1 && *text == '.'; length = component()) skip(1);
    if (!is_parent(text, length)) return false;
    skip(length);
    return true;
  }
};

uint32_t count_parents(Rest rest) {
  uint32_t count = 0;
  for (uint32_t length = rest.component(); length != 0; length = rest.component()) {
    if (is_parent(rest.text, length)) ++count;
    rest.skip(length);
  }
  return count;
}

bool is_directory(const sysload_api& api, int32_t descriptor) {
  struct stat status {};
  return api.syscall(__NR_newfstatat, static_cast<uint64_t>(int64_t{descriptor}), word("."),
                     word(&status), 0, 0, 0) == 0;
}

// `name` has room for what is put behind it.
bool is_there(const sysload_api& api, GivenName& name) {
  constexpr char kDot[] = "/.";
  memcpy(name.text + name.size, kDot, sizeof(kDot));
  char byte = 0;
  const int64_t got = api.syscall(__NR_readlink, word(name.text), word(&byte), 1, 0, 0, 0);
  name.text[name.size] = 0;
  return got != -ENOENT && got != -ENOTDIR;
}

// From a directory that was removed, whose name on the host `given` is, to the first parent that is
// there. False where the rest leads to none; the kernel may then have it as it is, since all of it
// is removed directories, and what is not in them.
bool climb(const SysrootView& view, Rest& rest, GivenName& given) {
  while (rest.take_parent()) {
    if (given.size == view.root().size && given.is_inside) return true;
    while (given.size != 0 && given.text[given.size - 1] != '/') --given.size;
    if (given.size > 1) --given.size;
    given.text[given.size] = 0;
    if (is_there(view.api, given)) return true;
  }
  return false;
}

// Of a directory whose name is not to be had. With ".." in it the kernel might take a name out of
// the sysroot; but not with one alone where the directory's own name is longer than the sysroot's.
int64_t answer_nameless(const SysrootView& view, int32_t descriptor, int64_t error, Rest rest) {
  const uint32_t parents = count_parents(rest);
  if (error == -ENAMETOOLONG) return parents <= 1 ? 0 : error;
  const bool leads_up = parents != 0 && is_directory(view.api, descriptor);
  return leads_up ? -ENOENT : 0;  // the kernel says what else is wrong with it
}

}  // namespace

int64_t make_absolute(const SysrootView& view, int32_t directory, const char* text, uint32_t size,
                      GivenName& given) {
  Rest rest{text, size};
  given.size = 0;
  given.is_inside = false;
  if (*text != '/') {
    const DirectoryName found = name_of_directory(view.api, directory, given.text, kNameBytes);
    if (found.size <= 0 || given.text[0] != '/')
      return answer_nameless(view, directory, found.size, rest);
    given.size = static_cast<uint32_t>(found.size);
    uint32_t size_inside = 0;
    given.is_inside = view.root().inside(given.text, given.size, &size_inside) != nullptr;
    if (found.is_removed && !(is_directory(view.api, directory) && climb(view, rest, given)))
      return given.size = 0, 0;
    const char* inside = view.root().inside(given.text, given.size, &size_inside);
    if (inside != nullptr) {
      memmove(given.text, inside, size_inside);
      given.size = size_inside;
    }
    given.text[given.size++] = '/';
  }
  memcpy(given.text + given.size, rest.text, rest.size);
  given.size += rest.size;
  return 0;
}

}  // namespace sysrewrite
