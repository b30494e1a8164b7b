#include "loader/hooks/deny_path.h"

#include <asm/unistd.h>

#include <cstring>

#include "loader/hooks/open_flags.h"
#include "loader/hooks/resolve.h"
#include "loader/text.h"

namespace sysrewrite::deny {

namespace {

uint64_t address_of(const void* object) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
  return reinterpret_cast<uintptr_t>(object);
}

// Where a descriptor leads, or the working directory, NUL-ended, into kLongestPath bytes; `removed`
// where that is no more.
PathState read_base(const sysload_api* api, int32_t folder, PathState removed, char* into) {
  constexpr int32_t kAtFdcwd = -100;
  constexpr int64_t kBadDescriptor = -9;
  constexpr uint64_t kGetFlags = 1;  // F_GETFD
  int64_t length = 0;
  if (folder == kAtFdcwd) {
    length = api->syscall(__NR_getcwd, address_of(into), kLongestPath, 0, 0, 0, 0) - 1;
  } else {
    char link[48];
    api->format(link, sizeof(link), "/proc/thread-self/fd/%d", folder);
    length =
        api->syscall(__NR_readlink, address_of(link), address_of(into), kLongestPath - 1, 0, 0, 0);
    const auto descriptor = static_cast<uint64_t>(static_cast<uint32_t>(folder));
    // "pipe:[123]", as fstat asks about standard output: that is below no directory at all.
    if (length > 0 && into[0] != '/') return PathState::kInvalid;
    if (length <= 0 &&
        api->syscall(__NR_fcntl, descriptor, kGetFlags, 0, 0, 0, 0) == kBadDescriptor)
      return PathState::kInvalid;
  }
  // "(unreachable)/..." is somewhere, but nobody knows where.
  if (length <= 0 || length >= int64_t{kLongestPath} || into[0] != '/')
    return PathState::kUnknownBase;
  into[length] = 0;
  if (folder != kAtFdcwd && is_removed_name(*api, folder, into, static_cast<uint32_t>(length)))
    return removed;
  return PathState::kKnown;
}

}  // namespace

void normalize_path(char* path) {
  char* to = path;
  const char* from = path;
  while (*from != 0) {
    while (*from == '/') ++from;
    uint64_t length = 0;
    while (from[length] != 0 && from[length] != '/') ++length;
    if (length == 2 && from[0] == '.' && from[1] == '.') {
      while (to != path && *--to != '/') {
      }
    } else if (length != 0 && !(length == 1 && from[0] == '.')) {
      *to++ = '/';
      memmove(to, from, length);
      to += length;
    }
    from += length;
  }
  if (to == path) *to++ = '/';
  *to = 0;
}

bool is_under(const char* path, const char* directory) {
  if (equal(directory, "/")) return true;
  const char* rest = after(path, directory);
  return rest != nullptr && (*rest == 0 || *rest == '/');
}

namespace {

bool is_double_star(const char* pattern, uint64_t at) {
  return pattern[at] == '*' && pattern[at + 1] == '*';
}

// "**/" where a name may start can be nothing at all. Only on arrival: once it has taken something,
// its slash has to come.
void arrive(bool* positions, const char* pattern, uint64_t at) {
  positions[at] = true;
  while (is_double_star(pattern, at) && pattern[at + 2] == '/') {
    at += 3;
    positions[at] = true;
  }
}

// A position before a star stands for the one behind it, too.
void add_behind_stars(bool* positions, const char* pattern, uint64_t length) {
  for (uint64_t at = 0; at < length; ++at)
    if (positions[at] && pattern[at] == '*')
      positions[at + (is_double_star(pattern, at) ? 2 : 1)] = true;
}

}  // namespace

// All positions of the pattern that the path so far may have led to, at once.
bool is_like(const char* path, const char* pattern) {
  bool now[kLongestPattern + 1];
  bool next[kLongestPattern + 1];
  const uint64_t length = strlen(pattern);
  memset(now, 0, length + 1);
  arrive(now, pattern, 0);
  add_behind_stars(now, pattern, length);
  for (; *path != 0; ++path) {
    const char c = *path;
    memset(next, 0, length + 1);
    for (uint64_t at = 0; at < length; ++at) {
      if (!now[at]) continue;
      if (pattern[at] == '*') {
        next[at] = next[at] || c != '/' || is_double_star(pattern, at);
      } else if (pattern[at] == '/' && c == '/') {
        arrive(next, pattern, at + 1);
      } else if (pattern[at] == c || (pattern[at] == '?' && c != '/')) {
        next[at + 1] = true;
      }
    }
    add_behind_stars(next, pattern, length);
    memcpy(now, next, length + 1);
  }
  return now[length];
}

PathState CallPath::read(const sysload_api* api, const sysload_call& call, const PathSlot& slot) {
  if (state_ == PathState::kUnread) state_ = resolve(api, call, slot);
  return state_;
}

PathState CallPath::resolve(const sysload_api* api, const sysload_call& call,
                            const PathSlot& slot) {
  constexpr int32_t kAtFdcwd = -100;
  const uint64_t address = call.argument[slot.name];
  const bool is_named = address != 0 || !may_be_empty(slot, call.argument);
  if (is_named && api->read_string(text_, address, kLongestPath) < 0) return PathState::kInvalid;
  const bool own_root = open_flags(*api, call).have_own_root();
  char* floor = text_;  // what ".." does not lead above
  if (own_root || text_[0] != '/') {
    const int32_t folder = slot.directory == kNoArgument
                               ? kAtFdcwd
                               : static_cast<int32_t>(call.argument[slot.directory]);
    // A file that is meant itself, as fstat does it, has no path any more.
    const PathState removed = text_[0] == 0 ? PathState::kInvalid : PathState::kUnknownBase;
    const PathState base = read_base(api, folder, removed, text_);
    if (base != PathState::kKnown) return base;
    char* const end = text_ + strlen(text_);
    end[0] = '/';
    end[1] = 0;
    if (is_named && api->read_string(end + 1, address, kLongestPath) < 0)
      return PathState::kInvalid;
    if (own_root && end - text_ > 1) floor = end;
  }
  normalize_path(floor);
  if (floor != text_ && floor[1] == 0) *floor = 0;  // the directory itself
  return PathState::kKnown;
}

}  // namespace sysrewrite::deny
